#include "orchestrator/commands/server_options.h"

namespace taskmint::orchestrator {

void AddServerOptions(Command& command, RemotePlace& place) {
  command
      .Text("--server", place.address, "ADDRESS",
            "A `taskmint serve` to ask instead of a store: HOST:PORT or unix:PATH")
      .Text("--token-file", place.token_file, "FILE", "With --server: the token to send")
      .Text("--server-ca", place.tls_authority_file, "FILE",
            "With --server: TLS, with these authorities (PEM), or with `system` this machine's")
      .Text("--server-cert", place.certificate_file, "FILE",
            "With --server-ca: the certificate (PEM) that says who calls")
      .Text("--server-key", place.key_file, "FILE", "With --server-cert: its private key (PEM)")
      .NotEmpty("--server")
      .Excludes("--server", "--store");
  for (const char* name : {"--token-file", "--server-ca", "--server-cert", "--server-key"}) {
    command.NotEmpty(name).Needs(name, "--server");
  }
}

}  // namespace taskmint::orchestrator
