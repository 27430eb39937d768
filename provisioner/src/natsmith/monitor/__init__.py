"""The page that shows an account: what is there, what differs, who is registered. It reads, and writes nothing."""
