# The Vault agent as init container of a bot's pod: it logs in with the pod's own token, writes the account's key to a
# volume in memory, and ends. VAULT_ADDR, POD_NAMESPACE and SERVICE_ACCOUNT come from the pod.
exit_after_auth = true

auto_auth {
  method "jwt" {
    mount_path  = "auth/jwt"
    exit_on_err = true # a refused login ends the container; the kubelet starts it again with back-off
    config = {
      role                     = "bot"
      path                     = "/var/run/secrets/tradingbots/vault/token"
      remove_jwt_after_reading = false # the kubelet owns the file
    }
  }
}

vault {
  retry { num_retries = 3 }
}

template_config {
  exit_on_retry_failure = true # a key that cannot be read fails the pod instead of keeping it waiting in silence
}

template {
  destination          = "/vault/secrets/credentials.json"
  contents             = "{{ with secret (printf \"tradingbots/data/%s/%s\" (env \"POD_NAMESPACE\") (env \"SERVICE_ACCOUNT\")) }}{{ .Data.data | toJSON }}{{ end }}"
  perms                = "0440"
  error_on_missing_key = true
}
