package example;

import com.zaxxer.hikari.HikariDataSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * HikariCP, plain JDBC and Hibernate over DATABASE_URL, with the settings they come with.
 *
 * <p>Prints "ok ..." for all that went as it should; the first surprise ends the program.
 */
public final class Main {
    static final int WORKERS = 8;

    /** What one of the threads does, with connections that it borrows from HikariCP. */
    interface Work {
        void run(int worker) throws Exception;
    }

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        try (HikariDataSource source = Database.open()) {
            PlainJdbc.run(source);
            WithHibernate.run(source);
        }
    }

    static void inThreads(String what, Work work) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(WORKERS);
        try {
            List<Future<?>> running = new ArrayList<>();
            for (int worker = 0; worker < WORKERS; worker++) {
                int own = worker;
                running.add(threads.submit(() -> {
                    work.run(own);
                    return null;
                }));
            }
            for (Future<?> one : running) {
                one.get();
            }
        } finally {
            threads.shutdownNow();
        }
        System.out.println("ok " + what);
    }

    static void expect(Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }
}
