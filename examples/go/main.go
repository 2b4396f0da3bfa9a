// Command example-go works with database/sql over DATABASE_URL as it comes, once with pgx and once
// with lib/pq: any number of connections, prepared statements on each, LISTEN and COPY.
//
// It prints "ok ..." for all that went as it should; the first surprise ends it.
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

const workers = 30

// What the drivers call themselves when they register with database/sql.
var registered = map[string]string{"pgx": "pgx", "lib/pq": "postgres"}

func main() {
	log.SetFlags(0)
	// Where nothing is said lib/pq wants TLS, which a server of a test has not.
	if _, said := os.LookupEnv("PGSSLMODE"); !said {
		check(os.Setenv("PGSSLMODE", "disable"))
	}
	for _, driver := range []string{"pgx", "lib/pq"} {
		db, err := sql.Open(registered[driver], os.Getenv("DATABASE_URL"))
		check(err)
		execute(db, "drop table if exists parcel")
		execute(db, "create table parcel (id int primary key, shelf text not null)")
		show(driver, "prepared statements", db, preparedStatements(db))
		show(driver, "transactions", db, transactions)
		show(driver, "queries with values", db, queries)
		show(driver, "errors", db, refusals)
		execute(db, "drop table parcel")
		check(db.Close())
	}
	copyAndListen()
}

// show runs the work of all workers at once.
func show(driver, what string, db *sql.DB, work func(db *sql.DB, worker int) error) {
	var running sync.WaitGroup
	failures := make([]error, workers)
	for worker := range workers {
		running.Go(func() { failures[worker] = work(db, worker) })
	}
	running.Wait()
	check(errors.Join(failures...))
	fmt.Printf("ok %s: %s\n", driver, what)
}

// One statement for all: database/sql prepares it on each connection that it is used on.
func preparedStatements(db *sql.DB) func(*sql.DB, int) error {
	double, err := db.Prepare("select $1::int * 2")
	check(err)
	return func(_ *sql.DB, worker int) error {
		for turn := range 10 {
			var answer int
			if err := double.QueryRow(worker + turn).Scan(&answer); err != nil {
				return err
			}
			if answer != 2*(worker+turn) {
				return fmt.Errorf("%d * 2 = %d", worker+turn, answer)
			}
		}
		return nil
	}
}

func transactions(db *sql.DB, worker int) error {
	kept, err := db.Begin()
	if err != nil {
		return err
	}
	defer kept.Rollback() // Without effect after the commit.
	insert, err := kept.Prepare("insert into parcel (id, shelf) values ($1, $2)")
	if err != nil {
		return err
	}
	for n := range 5 {
		if _, err := insert.Exec(worker*10+n, fmt.Sprint("shelf ", worker)); err != nil {
			return err
		}
	}
	if err := kept.Commit(); err != nil {
		return err
	}
	lost, err := db.Begin()
	if err != nil {
		return err
	}
	_, err = lost.Exec("delete from parcel where id = $1", worker*10)
	return errors.Join(err, lost.Rollback())
}

func queries(db *sql.DB, worker int) error {
	rows, err := db.Query("select id from parcel where shelf = $1 order by id",
		fmt.Sprint("shelf ", worker))
	if err != nil {
		return err
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if id != worker*10+seen {
			return fmt.Errorf("parcel %d on shelf %d", id, worker)
		}
		seen++
	}
	if seen != 5 {
		return fmt.Errorf("%d parcels on shelf %d", seen, worker)
	}
	return rows.Err()
}

func refusals(db *sql.DB, worker int) error {
	_, err := db.Exec("insert into parcel (id, shelf) values ($1, 'twice')", worker*10)
	// Both drivers' errors have the server's code.
	var refused interface{ SQLState() string }
	if !errors.As(err, &refused) || refused.SQLState() != "23505" {
		return fmt.Errorf("a duplicate key gave %v", err)
	}
	var answer int
	if err := db.QueryRow("select $1::int", worker).Scan(&answer); err != nil {
		return err
	}
	if answer != worker {
		return fmt.Errorf("%d is not %d", answer, worker)
	}
	return nil
}

func execute(db *sql.DB, text string) {
	_, err := db.Exec(text)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
