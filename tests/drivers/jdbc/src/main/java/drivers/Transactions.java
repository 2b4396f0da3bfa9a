package drivers;

import static drivers.Answers.check;
import static drivers.Answers.emptyTable;
import static drivers.Answers.errandsOf;
import static drivers.Answers.onlyValue;
import static drivers.Answers.same;
import static drivers.Answers.stateOf;
import java.io.StringReader;
import java.sql.BatchUpdateException;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Savepoint;
import org.postgresql.PGConnection;

/** What happens inside transactions, and what goes wrong in them. */
final class Transactions {
    private Transactions() {}

    static void batches(String... properties) throws Exception {
        try (Clients clients = new Clients(properties)) {
            int count = 40;
            clients.inTurns((client, worker, turn) -> {
                client.setAutoCommit(false);
                String insert = "insert into " + Clients.ERRANDS + " values (?, ?, ?)";
                try (PreparedStatement statement = client.prepareStatement(insert)) {
                    for (int n = 0; n < count; n++) {
                        statement.setInt(1, worker);
                        statement.setInt(2, turn * count + n);
                        statement.setString(3, n % 7 == 0 ? null : "batch");
                        statement.addBatch();
                    }
                    same(count, statement.executeBatch().length);
                }
                same((turn + 1L) * count, errandsOf(client, worker));
                client.commit();
            });
            emptyTable(clients.get(0));
        }
    }

    static void failingBatch() throws Exception {
        try (Clients clients = new Clients("prepareThreshold", "1")) {
            clients.inTurns((client, worker, turn) -> {
                client.setAutoCommit(false);
                String insert = "insert into " + Clients.ERRANDS + " values (?, ?, 'x')";
                try (PreparedStatement statement = client.prepareStatement(insert)) {
                    for (int n : new int[] {1, 2, 1, 3}) {
                        statement.setInt(1, worker);
                        statement.setInt(2, n);
                        statement.addBatch();
                    }
                    statement.executeBatch();
                    throw new AssertionError("a duplicate key went unnoticed");
                } catch (BatchUpdateException failure) {
                    same("23505", failure.getSQLState());
                }
                client.rollback();
                same(0L, errandsOf(client, worker));
                client.commit();
            });
        }
    }

    /** With autocommit off a fetch size makes the driver read through a portal, in pieces. */
    static void fetchSize() throws Exception {
        try (Clients clients = new Clients()) {
            clients.inTurns((client, worker, turn) -> {
                client.setAutoCommit(false);
                String text = "select n + " + worker + " from generate_series(1, ?) as n";
                try (PreparedStatement statement = client.prepareStatement(text)) {
                    statement.setFetchSize(7);
                    statement.setInt(1, 50);
                    try (ResultSet rows = statement.executeQuery()) {
                        for (int n = 1; n <= 50; n++) {
                            check(rows.next(), "row " + n);
                            same(n + worker, rows.getInt(1));
                        }
                        check(!rows.next(), "fifty rows");
                    }
                }
                client.commit();
            });
        }
    }

    static void errorsAndSavepoints() throws Exception {
        try (Clients clients = new Clients("prepareThreshold", "1")) {
            clients.inTurns((client, worker, turn) -> {
                client.setAutoCommit(false);
                String divide = "select " + (worker + 1) + " / ?::int";
                try (PreparedStatement statement = client.prepareStatement(divide)) {
                    Savepoint before = client.setSavepoint();
                    statement.setInt(1, 0);
                    same("22012", stateOf(statement));
                    same("25P02", stateOf(statement));
                    client.rollback(before);
                    statement.setInt(1, 1);
                    same(String.valueOf(worker + 1), onlyValue(statement));
                }
                client.commit();
                client.setAutoCommit(true);
                try (PreparedStatement wrong = client.prepareStatement("selec " + worker)) {
                    same("42601", stateOf(wrong));
                }
            });
        }
    }

    static void copy() throws Exception {
        try (Clients clients = new Clients()) {
            clients.inTurns((client, worker, turn) -> {
                StringBuilder lines = new StringBuilder();
                for (int n = 0; n < 10; n++) {
                    lines.append(worker).append('\t').append(turn * 10 + n).append("\tcopied\n");
                }
                long copied = client.unwrap(PGConnection.class).getCopyAPI().copyIn(
                        "copy " + Clients.ERRANDS + " from stdin", new StringReader(lines.toString()));
                same(10L, copied);
                same((turn + 1) * 10L, errandsOf(client, worker));
            });
            emptyTable(clients.get(0));
        }
    }

    static void cancel() throws Exception {
        try (Clients clients = new Clients()) {
            try (PreparedStatement slow = clients.get(0).prepareStatement("select pg_sleep(600)")) {
                slow.setQueryTimeout(1);
                same("57014", stateOf(slow));
            }
            clients.inTurns((client, worker, turn) -> {
                try (PreparedStatement next = client.prepareStatement("select ?::int")) {
                    next.setInt(1, worker);
                    same(String.valueOf(worker), onlyValue(next));
                }
            });
        }
    }
}
