mod answers;
mod bench;
mod built_in;
mod chance;
mod course;
mod running;
