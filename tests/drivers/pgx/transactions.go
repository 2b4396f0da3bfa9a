package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A batch is one pipeline: all its statements are prepared and executed behind one another.
func batches(ctx context.Context) error {
	return playInTurns(ctx, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
		batch := &pgx.Batch{}
		insert := fmt.Sprintf("insert into %s values ($1, $2, $3)", errands)
		for n := range 5 {
			batch.Queue(insert, worker, turn*5+n, "batch")
		}
		var sums []int
		for n := range 6 {
			text := fmt.Sprintf("select $1::int + %d", worker*10+n%3)
			batch.Queue(text, n).QueryRow(func(row pgx.Row) error {
				var sum int
				err := row.Scan(&sum)
				sums = append(sums, sum-worker*10-n%3)
				return err
			})
		}
		return errors.Join(
			client.SendBatch(ctx, batch).Close(),
			same([]int{0, 1, 2, 3, 4, 5}, sums),
			ask(ctx, client, (turn+1)*5, "select count(*) from "+errands+" where worker = $1", worker),
		)
	})
}

// A batch is one implicit transaction: its error takes back what came before.
func failingBatch(ctx context.Context) error {
	return playInTurns(ctx, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
		insert := fmt.Sprintf("insert into %s values ($1, $2, $3)", errands)
		batch := &pgx.Batch{}
		batch.Queue(insert, worker, 1000, "first")
		batch.Queue("select 1 / $1::int", 0)
		batch.Queue(insert, worker, 1001, "last")
		return errors.Join(
			refused("22012", client.SendBatch(ctx, batch).Close()),
			ask(ctx, client, 0, "select count(*) from "+errands+" where worker = $1 and turn >= 1000", worker),
		)
	})
}

func errorsAndSavepoints(ctx context.Context) error {
	return playInTurns(ctx, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
		_, wrong := client.Exec(ctx, "selec $1", 1)
		return errors.Join(
			refused("42601", wrong),
			pgx.BeginFunc(ctx, client, func(tx pgx.Tx) error {
				inner := pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
					return ask(ctx, savepoint, 0, "select 1 / $1::int", 0)
				})
				return errors.Join(
					refused("22012", inner),
					ask(ctx, tx, turn+worker, fmt.Sprintf("select $1::int + %d", worker), turn),
				)
			}),
		)
	})
}

func copyFrom(ctx context.Context) error {
	return playInTurns(ctx, func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
		var rows [][]any
		for n := range 10 {
			rows = append(rows, []any{worker, 2000 + turn*10 + n, "copied"})
		}
		columns := []string{"worker", "turn", "note"}
		copied, err := client.CopyFrom(ctx, pgx.Identifier{errands}, columns, pgx.CopyFromRows(rows))
		return errors.Join(
			err,
			same(int64(10), copied),
			ask(ctx, client, (turn+1)*10,
				"select count(*) from "+errands+" where worker = $1 and turn >= 2000", worker),
		)
	})
}

// A context that ends closes its own client's connection (pgx's way); the others go on.
func cancelledContext(ctx context.Context) error {
	return withClients(ctx, nil, func(clients []*pgx.Conn) error {
		brief, release := context.WithTimeout(ctx, 300*time.Millisecond)
		defer release()
		_, err := clients[0].Exec(brief, "select pg_sleep($1)", 600)
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("expected the deadline, got %v", err)
		}
		return inTurns(ctx, clients[1:], func(ctx context.Context, client *pgx.Conn, worker, turn int) error {
			return ask(ctx, client, turn+worker, fmt.Sprintf("select $1::int + %d", worker), turn)
		})
	})
}
