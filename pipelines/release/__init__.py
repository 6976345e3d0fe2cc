"""From a candidate to a champion: champion, check, gate, register, approve, promote."""
