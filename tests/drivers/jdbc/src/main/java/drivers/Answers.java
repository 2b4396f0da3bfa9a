package drivers;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Objects;

/** Questions to the server, and what is expected of the answers. */
final class Answers {
    private Answers() {}

    /** Asks the server, inside the transaction that has just executed the statement. */
    static boolean isPrepared(Connection client, String text) throws SQLException {
        String asked = "select count(*) > 0 from pg_prepared_statements where statement = ?";
        try (PreparedStatement statement = client.prepareStatement(asked)) {
            statement.setString(1, text.replaceFirst("\\?", "\\$1").replaceFirst("\\?", "\\$2"));
            return onlyValue(statement).equals("t");
        }
    }

    static long errandsOf(Connection client, int worker) throws SQLException {
        String text = "select count(*) from " + Clients.ERRANDS + " where worker = ?";
        try (PreparedStatement statement = client.prepareStatement(text)) {
            statement.setInt(1, worker);
            return Long.parseLong(onlyValue(statement));
        }
    }

    static void emptyTable(Connection client) throws SQLException {
        boolean before = client.getAutoCommit();
        try (Statement statement = client.createStatement()) {
            statement.execute("delete from " + Clients.ERRANDS);
        }
        if (!before) {
            client.commit();
        }
    }

    static String onlyValue(PreparedStatement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            check(rows.next(), "one row");
            String value = rows.getString(1);
            check(!rows.next(), "one row only");
            return value;
        }
    }

    static String stateOf(PreparedStatement statement) {
        try {
            statement.execute();
        } catch (SQLException failure) {
            return failure.getSQLState();
        }
        return "00000";
    }

    static void same(Object expected, Object actual) {
        check(Objects.equals(expected, actual), "expected " + expected + ", got " + actual);
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
