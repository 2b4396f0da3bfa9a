package example;

import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.Id;
import jakarta.persistence.Version;

/** An entity as programs have them: a number from a sequence, a version for optimistic locking. */
@Entity
class Book {
    @Id @GeneratedValue Long id;
    @Version int version;

    @Column(unique = true)
    String title;

    int shelf;
    int copies;

    protected Book() {}

    Book(String title, int shelf, int copies) {
        this.title = title;
        this.shelf = shelf;
        this.copies = copies;
    }
}
