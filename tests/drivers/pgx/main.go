// Command pgx-driver-test works with pgx v5 in its default mode: every query is prepared under a
// name derived from its text, and cached.
//
// DATABASE_URL says where to, ERRANDS which table to use. It prints "ok <scenario>" for each
// scenario that held; any other ends it, after the rest, with a non-zero exit status.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	workers = 6
	turns   = 8
)

var (
	url     = os.Getenv("DATABASE_URL")
	errands = os.Getenv("ERRANDS")
)

// An errand is what one client does in one turn. No transaction reaches beyond it.
type errand func(ctx context.Context, client *pgx.Conn, worker, turn int) error

type scenario struct {
	name string
	run  func(ctx context.Context) error
}

func main() {
	ctx := context.Background()
	status := 0
	for _, each := range []scenario{
		{"cached statements", cachedStatements},
		{"statements prepared by name", namedStatements},
		{"sql-level prepare", sqlPrepare},
		{"batches", batches},
		{"failing batch", failingBatch},
		{"errors and savepoints", errorsAndSavepoints},
		{"copy", copyFrom},
		{"small statement cache", smallCache},
		{"altered table", alteredTable},
		{"cancelled context", cancelledContext},
		{"its own pool", ownPool},
	} {
		if err := each.run(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "FAILED %s: %v\n", each.name, err)
			status = 1
			continue
		}
		fmt.Println("ok", each.name)
	}
	os.Exit(status)
}

// withClients connects with pgx's defaults, changed by adjust where that is not nil.
func withClients(
	ctx context.Context, adjust func(*pgx.ConnConfig), story func([]*pgx.Conn) error,
) error {
	var clients []*pgx.Conn
	for range workers {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return err
		}
		if adjust != nil {
			adjust(config)
		}
		client, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return err
		}
		defer client.Close(ctx)
		clients = append(clients, client)
	}
	return story(clients)
}

// inTurns runs the errand once per client and turn: all clients at the same time, and nobody begins
// a turn before everybody has ended the last.
func inTurns(ctx context.Context, clients []*pgx.Conn, run errand) error {
	for turn := range turns {
		ended := make(chan error, len(clients))
		for worker, client := range clients {
			go func() {
				err := run(ctx, client, worker, turn)
				if err != nil {
					// The others may wait for the backend that this one holds.
					client.Close(ctx)
				}
				ended <- err
			}()
		}
		var failures []error
		for range clients {
			failures = append(failures, <-ended)
		}
		if err := errors.Join(failures...); err != nil {
			return err
		}
	}
	return nil
}

func playInTurns(ctx context.Context, run errand) error {
	return withClients(ctx, nil, func(clients []*pgx.Conn) error {
		return inTurns(ctx, clients, run)
	})
}

func same(expected, actual any) error {
	if !reflect.DeepEqual(expected, actual) {
		return fmt.Errorf("expected %v, got %v", expected, actual)
	}
	return nil
}

// refused checks that the server answered with the given SQLSTATE.
func refused(sqlstate string, err error) error {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return fmt.Errorf("expected SQLSTATE %s, got %v", sqlstate, err)
	}
	return same(sqlstate, answer.Code)
}

type querier interface {
	QueryRow(ctx context.Context, text string, values ...any) pgx.Row
}

// ask compares the only value of a query.
func ask[T any](ctx context.Context, client querier, expected T, text string, values ...any) error {
	var actual T
	if err := client.QueryRow(ctx, text, values...).Scan(&actual); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return same(expected, actual)
}
