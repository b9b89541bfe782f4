"""What four lectures say about initialization, claim by claim."""
