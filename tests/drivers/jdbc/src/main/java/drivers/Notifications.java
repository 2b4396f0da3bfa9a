package drivers;

import static drivers.Answers.check;
import static drivers.Answers.same;

import java.sql.Connection;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** LISTEN, while fifty other clients notify. */
final class Notifications {
    private static final int CROWDS = 9;
    private static final int PATIENCE_MILLISECONDS = 30_000;

    private Notifications() {}

    static void fromMany() throws Exception {
        List<Clients> crowd = new ArrayList<>();
        try {
            for (int n = 0; n < CROWDS; n++) {
                crowd.add(new Clients());
            }
            Connection listener = crowd.get(0).get(0);
            PGConnection ear = listener.unwrap(PGConnection.class);
            say(listener, "listen " + Clients.ERRANDS);
            List<String> expected = new ArrayList<>();
            for (Clients clients : crowd) {
                for (int worker = 0; worker < Clients.WORKERS; worker++) {
                    if (clients.get(worker) != listener) {
                        String number = "number " + expected.size();
                        say(clients.get(worker), "notify " + Clients.ERRANDS + ", '" + number + "'");
                        expected.add(number);
                    }
                }
            }
            List<String> heard = new ArrayList<>();
            while (heard.size() < expected.size()) {
                PGNotification[] some = ear.getNotifications(PATIENCE_MILLISECONDS);
                check(some != null && some.length > 0, "heard " + heard.size() + " in time");
                for (PGNotification one : some) {
                    check(one.getPID() != ear.getBackendPID(), "another's number");
                    heard.add(one.getParameter());
                }
            }
            same(expected, heard);
            say(listener, "notify " + Clients.ERRANDS + ", 'own'");
            // What a client notifies itself has come before its statement is answered.
            PGNotification[] own = ear.getNotifications();
            same(1, own.length);
            same("own", own[0].getParameter());
            same(ear.getBackendPID(), own[0].getPID());
            say(listener, "unlisten *");
        } finally {
            for (Clients clients : crowd) {
                clients.close();
            }
        }
    }

    private static void say(Connection client, String text) throws Exception {
        try (Statement statement = client.createStatement()) {
            statement.execute(text);
        }
    }
}
