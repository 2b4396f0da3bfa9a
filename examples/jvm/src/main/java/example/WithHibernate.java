package example;

import static example.Main.WORKERS;
import static example.Main.expect;
import static example.Main.inThreads;

import jakarta.persistence.LockModeType;
import jakarta.persistence.criteria.CriteriaBuilder;
import jakarta.persistence.criteria.CriteriaQuery;
import jakarta.persistence.criteria.Root;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import javax.sql.DataSource;
import org.hibernate.ScrollableResults;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.AvailableSettings;
import org.hibernate.cfg.Configuration;
import org.hibernate.exception.ConstraintViolationException;

/** Hibernate over the same connections; the one setting that is not its default makes batches. */
final class WithHibernate {
    private static final int BOOKS = 60;
    private static final String HQL =
            "select count(b) from Book b where b.shelf = :shelf and b.copies >= :least";

    private WithHibernate() {}

    static void run(DataSource source) throws Exception {
        Configuration configuration = new Configuration().addAnnotatedClass(Book.class);
        configuration.getProperties().put(AvailableSettings.JAKARTA_NON_JTA_DATASOURCE, source);
        configuration.setProperty(AvailableSettings.HBM2DDL_AUTO, "create-drop");
        configuration.setProperty(AvailableSettings.STATEMENT_BATCH_SIZE, "20");
        try (SessionFactory factory = configuration.buildSessionFactory()) {
            stock(factory);
            inThreads("hibernate: hql and criteria", worker -> query(factory, worker));
            inThreads("hibernate: locks and versions", worker -> change(factory, worker));
            inThreads("hibernate: scrolling and doWork", worker -> scroll(factory, worker));
            inThreads("hibernate: a violated constraint", worker -> violate(factory, worker));
        }
    }

    /**
     * One thread for all shelves. Hibernate hands out the numbers of a sequence under a lock of its
     * own, which a transaction may hold while it waits for a backend and another may wait for while
     * it holds one: threads that insert at once want a backend each, whichever pooler they share.
     */
    private static void stock(SessionFactory factory) {
        for (int shelf = 0; shelf < WORKERS; shelf++) {
            int own = shelf;
            factory.inTransaction(session -> {
                for (int n = 0; n < BOOKS; n++) {
                    session.persist(new Book("title " + own + "." + n, own, n));
                }
            });
        }
        System.out.println("ok hibernate: entities in batches");
    }

    /** Each query more often than five times: from the fifth on the driver has it prepared. */
    private static void query(SessionFactory factory, int worker) {
        for (int turn = 0; turn < 8; turn++) {
            int least = turn;
            factory.inTransaction(session -> {
                long byHql = session.createQuery(HQL, Long.class)
                        .setParameter("shelf", worker)
                        .setParameter("least", least)
                        .getSingleResult();
                expect((long) BOOKS - least, byHql);
            });
            factory.inTransaction(session ->
                    expect(BOOKS - least, byCriteria(session, worker, least)));
        }
    }

    private static int byCriteria(Session session, int shelf, int least) {
        CriteriaBuilder builder = session.getCriteriaBuilder();
        CriteriaQuery<Book> wanted = builder.createQuery(Book.class);
        Root<Book> book = wanted.from(Book.class);
        wanted.where(
                builder.equal(book.get("shelf"), shelf),
                builder.greaterThanOrEqualTo(book.get("copies"), least));
        return session.createQuery(wanted).getResultList().size();
    }

    private static void change(SessionFactory factory, int worker) {
        for (int turn = 0; turn < 8; turn++) {
            Book found = factory.fromTransaction(session -> {
                Book book = titled(session, "title " + worker + ".0");
                session.lock(book, LockModeType.PESSIMISTIC_WRITE);
                book.copies++;
                return book;
            });
            expect(turn + 1, found.copies);
            expect(turn + 1, found.version);
        }
    }

    private static Book titled(Session session, String title) {
        return session.createQuery("from Book where title = :title", Book.class)
                .setParameter("title", title)
                .getSingleResult();
    }

    private static void scroll(SessionFactory factory, int worker) {
        factory.inTransaction(session -> {
            int seen = 0;
            try (ScrollableResults<Book> books =
                    session.createQuery("from Book where shelf = :shelf order by id", Book.class)
                            .setParameter("shelf", worker)
                            .setFetchSize(7)
                            .scroll()) {
                while (books.next()) {
                    expect("title " + worker + "." + seen++, books.get().title);
                }
            }
            expect(BOOKS, seen);
            session.doWork(connection -> expect(BOOKS, books(connection, worker)));
        });
    }

    private static int books(Connection connection, int shelf) throws SQLException {
        String text = "select count(*) from book where shelf = ?";
        try (PreparedStatement statement = connection.prepareStatement(text)) {
            statement.setInt(1, shelf);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getInt(1);
            }
        }
    }

    private static void violate(SessionFactory factory, int worker) {
        String title = "title " + worker + ".1";
        try {
            factory.inTransaction(session -> session.persist(new Book(title, worker, 1)));
            throw new AssertionError("a title was given twice");
        } catch (ConstraintViolationException refused) {
            expect("23505", refused.getSQLState());
        }
        factory.inTransaction(session -> expect(1, titled(session, title).copies));
    }
}
