mod documents;
mod language;
mod mistakes;
mod property;
