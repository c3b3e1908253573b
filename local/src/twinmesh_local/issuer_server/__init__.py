"""A development issuer of tokens: OIDC discovery, JWKS and client credentials, on loopback only."""
