package drivers;

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Six connections to DATABASE_URL that work at the same time, turn by turn. */
final class Clients implements AutoCloseable {
    static final int WORKERS = 6;
    static final int TURNS = 8;
    static final String ERRANDS = System.getenv("ERRANDS");

    /** What one client does in one turn. Runs outside of any transaction of an earlier turn. */
    interface Errand {
        void run(Connection client, int worker, int turn) throws Exception;
    }

    private final List<Connection> connected = new ArrayList<>();

    /** Connects with pgjdbc's defaults, save for the properties given as name, value, .... */
    Clients(String... properties) throws SQLException {
        URI uri = URI.create(System.getenv("DATABASE_URL"));
        String[] login = uri.getRawUserInfo().split(":", 2);
        Properties all = new Properties();
        all.setProperty("user", decoded(login[0]));
        if (login.length > 1) {
            all.setProperty("password", decoded(login[1]));
        }
        for (int i = 0; i < properties.length; i += 2) {
            all.setProperty(properties[i], properties[i + 1]);
        }
        String address = "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getRawPath();
        for (int worker = 0; worker < WORKERS; worker++) {
            connected.add(DriverManager.getConnection(address, all));
        }
    }

    Connection get(int worker) {
        return connected.get(worker);
    }

    /** All clients at the same time; nobody begins a turn before everybody has ended the last. */
    void inTurns(Errand errand) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(WORKERS);
        try {
            for (int turn = 0; turn < TURNS; turn++) {
                List<Future<?>> running = new ArrayList<>();
                for (int worker = 0; worker < WORKERS; worker++) {
                    int who = worker;
                    int when = turn;
                    running.add(threads.submit(() -> {
                        try {
                            errand.run(connected.get(who), who, when);
                        } catch (Exception | AssertionError failure) {
                            // The others may wait for the backend that this one holds.
                            connected.get(who).close();
                            throw failure;
                        }
                        return null;
                    }));
                }
                for (Future<?> one : running) {
                    one.get();
                }
            }
        } catch (ExecutionException failure) {
            throw new AssertionError("an errand failed", failure.getCause());
        } finally {
            threads.shutdownNow();
        }
    }

    @Override
    public void close() throws SQLException {
        for (Connection client : connected) {
            client.close();
        }
    }

    private static String decoded(String part) {
        return URLDecoder.decode(part.replace("+", "%2B"), StandardCharsets.UTF_8);
    }
}
