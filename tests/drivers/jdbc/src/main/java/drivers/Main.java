package drivers;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * pgjdbc with its default settings (a statement is named at its fifth execution), and naming at once.
 *
 * <p>DATABASE_URL says where to, ERRANDS which table to use. Prints "ok scenario" for each scenario
 * that held; any other ends the program, after the rest, with a non-zero exit status.
 */
public final class Main {
    private interface Scenario {
        void run() throws Exception;
    }

    private Main() {}

    public static void main(String[] arguments) {
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("default threshold", () -> Statements.repeated(5));
        scenarios.put("threshold of one", () -> Statements.repeated(1, "prepareThreshold", "1"));
        scenarios.put("statements kept open", Statements::keptOpen);
        scenarios.put("small statement cache", Statements::smallCache);
        scenarios.put("metadata", Statements::metadata);
        scenarios.put("altered table", Statements::alteredTable);
        scenarios.put("batches", () -> Transactions.batches());
        scenarios.put("rewritten batches", () -> Transactions.batches("reWriteBatchedInserts", "true"));
        scenarios.put("failing batch", Transactions::failingBatch);
        scenarios.put("fetch size", Transactions::fetchSize);
        scenarios.put("errors and savepoints", Transactions::errorsAndSavepoints);
        scenarios.put("session settings", Statements::sessionSettings);
        scenarios.put("copy", Transactions::copy);
        scenarios.put("cancel", Transactions::cancel);
        scenarios.put("notifications", Notifications::fromMany);
        int failed = 0;
        for (Map.Entry<String, Scenario> scenario : scenarios.entrySet()) {
            try {
                scenario.getValue().run();
                System.out.println("ok " + scenario.getKey());
            } catch (Exception | AssertionError failure) {
                failed++;
                System.err.println("FAILED " + scenario.getKey());
                failure.printStackTrace();
            }
        }
        System.exit(failed == 0 ? 0 : 1);
    }
}
