package main

import (
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/lib/pq"
)

// copyAndListen is what lib/pq has beside database/sql.
func copyAndListen() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	check(err)
	defer db.Close()
	execute(db, "create table parcel (id int primary key, shelf text not null)")
	defer execute(db, "drop table parcel")

	into, err := db.Begin()
	check(err)
	lines, err := into.Prepare(pq.CopyIn("parcel", "id", "shelf"))
	check(err)
	for id := range 100 {
		_, err = lines.Exec(id, "copied")
		check(err)
	}
	check(lines.Close())
	check(into.Commit())
	var count int
	check(db.QueryRow("select count(*) from parcel").Scan(&count))
	if count != 100 {
		check(fmt.Errorf("%d parcels were copied", count))
	}
	fmt.Println("ok lib/pq: copy")

	failed := func(_ pq.ListenerEventType, err error) { check(err) }
	listener := pq.NewListener(os.Getenv("DATABASE_URL"), time.Second, time.Minute, failed)
	defer listener.Close()
	check(listener.Listen("parcels"))
	for worker := range workers {
		_, err = db.Exec("select pg_notify('parcels', $1)", fmt.Sprint(worker))
		check(err)
	}
	for worker := range workers {
		if heard := (<-listener.Notify).Extra; heard != fmt.Sprint(worker) {
			check(fmt.Errorf("heard %s, not %d", heard, worker))
		}
	}
	check(listener.UnlistenAll())
	fmt.Println("ok lib/pq: notifications")
}
