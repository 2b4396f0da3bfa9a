package example;

import com.zaxxer.hikari.HikariDataSource;
import java.net.URI;

/** DATABASE_URL as a HikariCP pool: nothing is set but the address and the login. */
final class Database {
    private Database() {}

    static HikariDataSource open() {
        URI url = URI.create(System.getenv("DATABASE_URL"));
        String[] login = url.getUserInfo().split(":", 2);
        HikariDataSource source = new HikariDataSource();
        String place = url.getHost() + ":" + url.getPort() + url.getPath();
        source.setJdbcUrl("jdbc:postgresql://" + place);
        source.setUsername(login[0]);
        source.setPassword(login.length > 1 ? login[1] : "");
        return source;
    }
}
