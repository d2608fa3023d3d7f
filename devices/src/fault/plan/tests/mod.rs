mod language;
mod mistakes;
mod property;
