package drivers;

import static drivers.Answers.check;
import static drivers.Answers.isPrepared;
import static drivers.Answers.onlyValue;
import static drivers.Answers.same;
import java.sql.Connection;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.List;

/** What becomes of named statements and of settings. */
final class Statements {
    private Statements() {}

    /** The same text prepared anew for each turn, as most programs do: the driver's cache names it. */
    static void repeated(int threshold, String... properties) throws Exception {
        try (Clients clients = new Clients(properties)) {
            clients.inTurns((client, worker, turn) -> {
                String text = "select ?::int + " + worker + " as sum, ?::text as word";
                client.setAutoCommit(turn % 2 == 0);
                try (PreparedStatement statement = client.prepareStatement(text)) {
                    statement.setInt(1, turn);
                    statement.setString(2, "worker " + worker);
                    try (ResultSet rows = statement.executeQuery()) {
                        check(rows.next(), "one row");
                        same(turn + worker, rows.getInt("sum"));
                        same("worker " + worker, rows.getString("word"));
                        check(!rows.next(), "one row only");
                    }
                }
                if (!client.getAutoCommit()) {
                    check(turn + 1 < threshold || isPrepared(client, text), "prepared by now");
                    client.commit();
                }
            });
        }
    }

    static void keptOpen() throws Exception {
        try (Clients clients = new Clients()) {
            PreparedStatement[] kept = new PreparedStatement[Clients.WORKERS];
            for (int worker = 0; worker < Clients.WORKERS; worker++) {
                kept[worker] = clients.get(worker).prepareStatement("select ? || '#" + worker + "'");
            }
            clients.inTurns((client, worker, turn) -> {
                for (int time = 0; time < 3; time++) {
                    kept[worker].setString(1, turn + "." + time);
                    same(turn + "." + time + "#" + worker, onlyValue(kept[worker]));
                }
            });
        }
    }

    /** More texts than the driver keeps: it closes statements and prepares them again. */
    static void smallCache() throws Exception {
        try (Clients clients =
                new Clients("prepareThreshold", "1", "preparedStatementCacheQueries", "3")) {
            clients.inTurns((client, worker, turn) -> {
                for (int n = 0; n < 8; n++) {
                    int which = (n + turn) % 8;
                    String text = "select ? || '" + worker + "." + which + "'";
                    try (PreparedStatement statement = client.prepareStatement(text)) {
                        statement.setString(1, "#");
                        same("#" + worker + "." + which, onlyValue(statement));
                    }
                }
            });
        }
    }

    /** Describe before the first execution, and questions to the catalogue. */
    static void metadata() throws Exception {
        try (Clients clients = new Clients()) {
            clients.inTurns((client, worker, turn) -> {
                String text = "select ?::int8 as big, ?::text as word" + worker;
                try (PreparedStatement statement = client.prepareStatement(text)) {
                    ParameterMetaData parameters = statement.getParameterMetaData();
                    same(Types.BIGINT, parameters.getParameterType(1));
                    ResultSetMetaData columns = statement.getMetaData();
                    same("word" + worker, columns.getColumnName(2));
                    same("text", columns.getColumnTypeName(2));
                    statement.setLong(1, 1L << 40);
                    statement.setString(2, "w");
                    try (ResultSet rows = statement.executeQuery()) {
                        check(rows.next(), "one row");
                        same(1L << 40, rows.getLong(1));
                    }
                }
                try (ResultSet found =
                        client.getMetaData().getColumns(null, null, Clients.ERRANDS, "%")) {
                    for (String column : List.of("worker", "turn", "note")) {
                        check(found.next(), "column " + column);
                        same(column, found.getString("COLUMN_NAME"));
                    }
                }
            });
        }
    }

    /** Another client alters the table; the driver retries outside of transactions (autosave). */
    static void alteredTable() throws Exception {
        try (Clients clients = new Clients("prepareThreshold", "1", "autosave", "conservative")) {
            String everything = "select * from " + Clients.ERRANDS;
            Clients.Errand look = (client, worker, turn) -> {
                try (PreparedStatement statement = client.prepareStatement(everything);
                        ResultSet rows = statement.executeQuery()) {
                    rows.getMetaData().getColumnCount();
                }
            };
            clients.inTurns(look);
            try (Statement statement = clients.get(0).createStatement()) {
                statement.execute("alter table " + Clients.ERRANDS + " add column extra int");
            }
            clients.inTurns((client, worker, turn) -> {
                client.setAutoCommit(false);
                try (PreparedStatement statement = client.prepareStatement(everything);
                        ResultSet rows = statement.executeQuery()) {
                    same(4, rows.getMetaData().getColumnCount());
                }
                client.commit();
            });
            clients.get(0).setAutoCommit(true);
            try (Statement statement = clients.get(0).createStatement()) {
                statement.execute("alter table " + Clients.ERRANDS + " drop column extra");
            }
        }
    }

    /** What pgjdbc itself leaves in a session. */
    static void sessionSettings() throws Exception {
        try (Clients clients = new Clients("readOnlyMode", "always")) {
            for (int worker = 0; worker < Clients.WORKERS; worker++) {
                Connection client = clients.get(worker);
                client.setTransactionIsolation(level(worker));
                client.setReadOnly(worker % 3 == 0);
                client.setSchema("schema_" + worker);
                client.setClientInfo("ApplicationName", "application " + worker);
                client.setNetworkTimeout(Runnable::run, 60_000 + worker);
            }
            clients.inTurns((client, worker, turn) -> {
                client.setAutoCommit(turn % 2 == 0);
                same(level(worker), client.getTransactionIsolation());
                same(worker % 3 == 0 ? "on" : "off", shown(client, "transaction_read_only"));
                same("schema_" + worker, shown(client, "search_path"));
                same("application " + worker, shown(client, "application_name"));
                same(60_000 + worker, client.getNetworkTimeout());
                if (!client.getAutoCommit()) {
                    client.commit();
                }
            });
        }
    }

    private static int level(int worker) {
        return worker % 2 == 0
                ? Connection.TRANSACTION_SERIALIZABLE
                : Connection.TRANSACTION_READ_COMMITTED;
    }

    private static String shown(Connection client, String setting) throws SQLException {
        try (PreparedStatement statement = client.prepareStatement("show " + setting)) {
            return onlyValue(statement);
        }
    }
}
