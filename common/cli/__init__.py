"""The command line `dfs`: a client of the gateway's REST, which it calls as any other client would."""
