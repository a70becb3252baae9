//! The load engine and its reports will live here. For now the room holds the
//! side-by-side harnesses beside it, such as `vm/` (apply against the floor).
