alter table parcel add column grams int not null default 0;
create index on parcel (shelf);
