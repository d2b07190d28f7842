"""The Faust applications, the rules they follow and the engine that runs them."""
