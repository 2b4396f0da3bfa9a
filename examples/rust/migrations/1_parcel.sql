create table parcel (
    id int primary key,
    shelf text not null
);
