package example;

import static example.Main.expect;
import static example.Main.inThreads;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.sql.DataSource;
import org.postgresql.PGConnection;

/** JDBC as it is: at its fifth execution the driver prepares a statement under a name. */
final class PlainJdbc {
    private static final int TURNS = 20;
    private static final String INSERT = "insert into visit (worker, turn) values (?, ?)";
    private static final String COUNT = "select count(*) from visit where worker = ?";

    // HikariCP hides broken connections by opening others: a number more than it holds tells.
    private static final Set<Integer> NUMBERS = ConcurrentHashMap.newKeySet();

    private PlainJdbc() {}

    static void run(DataSource source) throws Exception {
        execute(source, "drop table if exists visit");
        execute(source, "create table visit (worker int, turn int, primary key (worker, turn))");
        inThreads("prepared statements", worker -> insertOneByOne(source, worker));
        inThreads("a batch in a transaction", worker -> insertBatch(source, worker));
        inThreads("a fetch size in a transaction", worker -> readInPieces(source, worker));
        inThreads("an error and a rollback", worker -> insertTwice(source, worker));
        expect(true, NUMBERS.size() <= 10);
        System.out.println("ok no connection was opened again");
        execute(source, "drop table visit");
    }

    private static void insertOneByOne(DataSource source, int worker) throws SQLException {
        for (int turn = 0; turn < TURNS; turn++) {
            try (Connection connection = source.getConnection();
                    PreparedStatement insert = connection.prepareStatement(INSERT)) {
                NUMBERS.add(connection.unwrap(PGConnection.class).getBackendPID());
                insert.setInt(1, worker);
                insert.setInt(2, turn);
                expect(1, insert.executeUpdate());
            }
        }
        try (Connection connection = source.getConnection()) {
            expect(TURNS, visits(connection, worker));
        }
    }

    private static void insertBatch(DataSource source, int worker) throws SQLException {
        try (Connection connection = source.getConnection()) {
            connection.setAutoCommit(false);
            try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
                for (int turn = 0; turn < 100; turn++) {
                    insert.setInt(1, worker);
                    insert.setInt(2, TURNS + turn);
                    insert.addBatch();
                }
                expect(100, insert.executeBatch().length);
            }
            expect(true, isPrepared(connection, INSERT));
            connection.commit();
            expect(TURNS + 100, visits(connection, worker));
            connection.commit();
        }
    }

    /** With a fetch size the driver reads through a portal, as long as the transaction lasts. */
    private static void readInPieces(DataSource source, int worker) throws SQLException {
        try (Connection connection = source.getConnection()) {
            connection.setAutoCommit(false);
            String text = "select turn from visit where worker = ? order by turn";
            try (PreparedStatement select = connection.prepareStatement(text)) {
                select.setFetchSize(10);
                select.setInt(1, worker);
                try (ResultSet rows = select.executeQuery()) {
                    for (int turn = 0; turn < TURNS + 100; turn++) {
                        expect(true, rows.next());
                        expect(turn, rows.getInt(1));
                    }
                    expect(false, rows.next());
                }
            }
            connection.commit();
        }
    }

    private static void insertTwice(DataSource source, int worker) throws SQLException {
        try (Connection connection = source.getConnection()) {
            connection.setAutoCommit(false);
            try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
                insert.setInt(1, worker);
                insert.setInt(2, -1);
                insert.executeUpdate();
                insert.executeUpdate();
                throw new AssertionError("a duplicate key went unnoticed");
            } catch (SQLException refused) {
                expect("23505", refused.getSQLState());
            }
            connection.rollback();
            expect(TURNS + 100, visits(connection, worker));
            connection.commit();
        }
    }

    private static int visits(Connection connection, int worker) throws SQLException {
        try (PreparedStatement count = connection.prepareStatement(COUNT)) {
            count.setInt(1, worker);
            try (ResultSet rows = count.executeQuery()) {
                rows.next();
                return rows.getInt(1);
            }
        }
    }

    private static boolean isPrepared(Connection connection, String text) throws SQLException {
        String asked = "select count(*) from pg_prepared_statements where statement = ?";
        try (PreparedStatement statement = connection.prepareStatement(asked)) {
            statement.setString(1, text.replaceFirst("\\?", "\\$1").replaceFirst("\\?", "\\$2"));
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() && rows.getInt(1) > 0;
            }
        }
    }

    private static void execute(DataSource source, String text) throws SQLException {
        try (Connection connection = source.getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute(text);
        }
    }
}
