package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const isPrepared = "select count(*) > 0 from pg_prepared_statements where statement = $1"

func cachedStatements(ctx context.Context) error {
	return playInTurns(ctx, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
		own := fmt.Sprintf("select $1::int + %d", worker)
		return errors.Join(
			ask(ctx, client, turn+worker, own, turn),
			ask(ctx, client, "shared text", "select $1::text || ' text'", "shared"),
			pgx.BeginFunc(ctx, client, func(tx pgx.Tx) error {
				return errors.Join(
					ask(ctx, tx, worker-turn, own, -turn),
					ask(ctx, tx, true, isPrepared, own),
				)
			}),
		)
	})
}

// One name, six meanings: a statement's name belongs to its client.
func namedStatements(ctx context.Context) error {
	return playInTurns(ctx, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
		text := fmt.Sprintf("select $1::int * 10 + %d as n, 'w' as who%d", worker, worker)
		described, err := client.Prepare(ctx, "same_name", text)
		if err != nil {
			return err
		}
		fault := errors.Join(
			same(fmt.Sprintf("who%d", worker), described.Fields[1].Name),
			scanNumber(ctx, client, turn*10+worker, "same_name", turn),
		)
		if turn%3 == 2 {
			fault = errors.Join(fault, client.Deallocate(ctx, "same_name"))
		}
		return fault
	})
}

func scanNumber(ctx context.Context, client *pgx.Conn, expected int, name string, value int) error {
	var number int
	var word string
	if err := client.QueryRow(ctx, name, value).Scan(&number, &word); err != nil {
		return err
	}
	return same(expected, number)
}

// PREPARE, EXECUTE and DEALLOCATE as texts: pgx sends them by the extended protocol.
func sqlPrepare(ctx context.Context) error {
	return playInTurns(ctx, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
		if _, err := client.Exec(ctx, fmt.Sprintf("prepare p (int) as select $1 + %d", worker)); err != nil {
			return err
		}
		fault := errors.Join(
			ask(ctx, client, turn+worker, fmt.Sprintf("execute p(%d)", turn)),
			ask(ctx, client, worker, "execute p(0)"),
		)
		_, err := client.Exec(ctx, "deallocate p")
		return errors.Join(fault, err)
	})
}

// More texts than the cache holds: pgx closes statements and prepares them again.
func smallCache(ctx context.Context) error {
	shrink := func(config *pgx.ConnConfig) { config.StatementCacheCapacity = 3 }
	return withClients(ctx, shrink, func(clients []*pgx.Conn) error {
		return inTurns(ctx, clients, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
			var faults []error
			for n := range 8 {
				number := worker*100 + (n+turn)%8
				text := fmt.Sprintf("select $1::int + %d", number)
				faults = append(faults, ask(ctx, client, number+1, text, 1))
			}
			return errors.Join(faults...)
		})
	})
}

// Another client alters the table: pgx forgets the statement at the first error and works again.
func alteredTable(ctx context.Context) error {
	everything := "select * from " + errands
	columns := func(ctx context.Context, client *pgx.Conn) (int, error) {
		rows, err := client.Query(ctx, everything)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		count := len(rows.FieldDescriptions())
		rows.Close()
		return count, rows.Err()
	}
	return withClients(ctx, nil, func(clients []*pgx.Conn) error {
		for _, client := range clients {
			if _, err := columns(ctx, client); err != nil {
				return err
			}
		}
		if _, err := clients[0].Exec(ctx, "alter table "+errands+" add column extra int"); err != nil {
			return err
		}
		for _, client := range clients {
			if _, err := columns(ctx, client); err != nil {
				if fault := refused("0A000", err); fault != nil {
					return fault
				}
			}
			count, err := columns(ctx, client)
			if fault := errors.Join(err, same(4, count)); fault != nil {
				return fault
			}
		}
		_, err := clients[0].Exec(ctx, "alter table "+errands+" drop column extra")
		return err
	})
}

func ownPool(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	for turn := range turns {
		const tasks = 12
		ended := make(chan error, tasks)
		for task := range tasks {
			go func() {
				text := fmt.Sprintf("select $1::int + %d", task%5)
				ended <- ask(ctx, pool, turn+task%5, text, turn)
			}()
		}
		var failures []error
		for range tasks {
			failures = append(failures, <-ended)
		}
		if err := errors.Join(failures...); err != nil {
			return err
		}
	}
	return nil
}
