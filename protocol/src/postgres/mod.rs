//! PostgreSQL: frontend/backend messages, pgoutput, tuples and values.
