# What the set-up Job's token may do, and no more. Write it once, and make a fresh token for every install or upgrade that
# runs the set-up:
#   vault policy write tradingbots-setup vault-setup-policy.hcl
#   vault token create -orphan -ttl=15m -policy=tradingbots-setup -field=token

# The KV version 2 mount that holds exchange keys: it can be made. This token reads no key itself; but it writes the
# policies that decide who does, so it is as precious as they are, and lives for minutes.
path "sys/mounts/tradingbots" { capabilities = ["create", "read", "update"] }
path "tradingbots/config"     { capabilities = ["create", "read", "update"] }

# The JWT auth method with this cluster's keys, and the roles of bots, API and operator.
path "sys/auth/jwt"           { capabilities = ["create", "read", "update", "sudo"] }
path "auth/jwt/config"        { capabilities = ["create", "read", "update"] }
path "auth/jwt/role/bot"      { capabilities = ["create", "read", "update"] }
path "auth/jwt/role/api"      { capabilities = ["create", "read", "update"] }
path "auth/jwt/role/operator" { capabilities = ["create", "read", "update"] }

path "sys/policies/acl/tradingbots-bot"      { capabilities = ["create", "read", "update"] }
path "sys/policies/acl/tradingbots-api"      { capabilities = ["create", "read", "update"] }
path "sys/policies/acl/tradingbots-operator" { capabilities = ["create", "read", "update"] }
