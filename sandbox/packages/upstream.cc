#include "sandbox/packages/upstream.h"

#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>

#include "proto/base/utf8.h"
#include "sandbox/errors.h"
#include "sandbox/packages/polled_stream.h"
#include "sandbox/packages/recorded_answer.h"

namespace taskmint::sandbox {
namespace {

namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;

constexpr uint32_t kAnswerHeadBytesMax = 65536;
// SSL_CERT_FILE and SSL_CERT_DIR are OpenSSL's own.
constexpr const char* kCertificateFileVariables[] = {"PIP_CERT", "REQUESTS_CA_BUNDLE",
                                                     "CURL_CA_BUNDLE"};

std::string TextOfView(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Status BrokeOff(const PackageUrl& url, const std::string& why) {
  return Error(Code::kUnavailable, "'" + url.host.host + "' at port " +
                                       std::to_string(url.host.port) + " breaks off: " + why);
}

}  // namespace

struct Upstream::Tls {
  ssl::context context{ssl::context::tls_client};
};

// One request and what becomes of it.
struct Upstream::Hop {
  const std::function<Status(const UpstreamHead&)>& on_head;
  const std::function<Status(std::string_view)>& on_bytes;
  int stop_fd;
  UpstreamAnswer* answer;
  std::string* location;  // of a redirect

  // Writes the request, reads the answer.
  template <typename Stream>
  Status Exchange(Stream& stream, const http::request<http::empty_body>& message,
                  const PackageUrl& url) const {
    boost::beast::error_code error;
    http::write(stream, message, error);
    if (error) return BrokeOff(url, error.message());
    boost::beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.header_limit(kAnswerHeadBytesMax);
    // What takes the bytes limits them. (Boost 1.74 mistakes no limit for one of 0.)
    parser.body_limit(std::numeric_limits<uint64_t>::max());
    if (message.method() == http::verb::head) parser.skip(true);
    http::read_header(stream, buffer, parser, error);
    if (error) return BrokeOff(url, error.message());
    const auto& head = parser.get();
    answer->head.status = head.result_int();
    answer->head.final_url = url;
    answer->head.content_type = TextOfView(head[http::field::content_type]);
    answer->head.content_encoding = TextOfView(head[http::field::content_encoding]);
    if (LowerCase(answer->head.content_encoding) == "identity") {
      answer->head.content_encoding.clear();
    }
    const auto length = parser.content_length();
    answer->head.content_bytes = length ? static_cast<int64_t>(*length) : -1;
    *location = TextOfView(head[http::field::location]);
    if (!IsHeaderText(answer->head.content_type) || !IsHeaderText(answer->head.content_encoding)) {
      return BrokeOff(url, "its header is none");
    }
    if (answer->head.status != 200 || message.method() != http::verb::get) return OkStatus();
    TASKMINT_RETURN_IF_ERROR(on_head(answer->head));
    char bytes[65536];
    while (!parser.is_done()) {
      parser.get().body().data = bytes;
      parser.get().body().size = sizeof bytes;
      http::read(stream, buffer, parser, error);
      if (error == http::error::need_buffer) error = {};
      if (error) return BrokeOff(url, error.message());
      TASKMINT_RETURN_IF_ERROR(on_bytes({bytes, sizeof bytes - parser.get().body().size}));
    }
    return OkStatus();
  }
};

Upstream::Upstream() : tls_(std::make_unique<Tls>()) {}
Upstream::~Upstream() = default;

Result<std::unique_ptr<Upstream>> Upstream::Make(const std::vector<std::string>& certificate_files,
                                                 const UpstreamLimits& limits) {
  std::unique_ptr<Upstream> upstream(new Upstream());
  upstream->limits_ = limits;
  ssl::context& context = upstream->tls_->context;
  boost::system::error_code error;
  context.set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
  context.set_default_verify_paths(error);
  context.set_verify_mode(ssl::verify_peer, error);
  std::vector<std::string> files = certificate_files;
  for (const char* name : kCertificateFileVariables) {
    const char* value = std::getenv(name);
    std::error_code unreadable;
    if (value != nullptr && std::filesystem::is_regular_file(value, unreadable)) {
      files.emplace_back(value);
    }
  }
  for (const std::string& file : files) {
    context.load_verify_file(file, error);
    if (error) {
      return Status(Code::kInvalidArgument, Boundary::kConfig,
                    "no certificates can be read from " + file + ": " + error.message());
    }
  }
  return upstream;
}

Status Upstream::Fetch(const UpstreamRequest& request, const AllowedHosts& allowed,
                       const std::function<Status(const UpstreamHead&)>& on_head,
                       const std::function<Status(std::string_view)>& on_bytes, int stop_fd,
                       UpstreamAnswer* answer) const {
  UpstreamRequest next = request;
  for (int64_t hops = 0; hops <= limits_.redirects_max; ++hops) {
    const std::optional<Addresses> addresses = allowed.Find(next.url.host);
    if (!addresses.has_value()) {
      return Error(Code::kPermissionDenied,
                   "the host '" + next.url.host.host + "' at port " +
                       std::to_string(next.url.host.port) + " is not on the allow list" +
                       (hops > 0 ? ", and '" + request.url.host.host + "' redirects to it" : ""));
    }
    std::string location;
    TASKMINT_RETURN_IF_ERROR(
        FetchOnce(next, *addresses, Hop{on_head, on_bytes, stop_fd, answer, &location}));
    if (!IsRedirect(answer->head.status)) return OkStatus();
    const auto url = ResolveReference(next.url, location, nullptr);
    if (!url.ok()) return BrokeOff(next.url, "it redirects to nowhere");
    next.url = *url;
  }
  return BrokeOff(next.url, "it redirects too often");
}

Status Upstream::FetchOnce(const UpstreamRequest& request, Addresses addresses,
                           const Hop& hop) const {
  const PackageUrl& url = request.url;
  const UniqueFd fd = ConnectToHost(url.host, addresses, hop.stop_fd);
  if (!fd.valid()) {
    return Error(Code::kUnavailable,
                 "cannot reach '" + url.host.host + "' at port " + std::to_string(url.host.port) +
                     (addresses == Addresses::kPublic ? " at a public address" : ""));
  }
  http::request<http::empty_body> message;
  message.version(11);
  message.method(request.method == "HEAD" ? http::verb::head : http::verb::get);
  message.target(url.target);
  std::string authority = url.Authority();
  if (url.host.port == (url.is_tls ? 443 : 80)) authority.erase(authority.rfind(':'));
  message.set(http::field::host, authority);
  message.set(http::field::user_agent, "taskmint");
  message.set(http::field::accept, request.accept);
  message.set(http::field::accept_encoding, "identity");
  message.set(http::field::connection, "close");
  boost::asio::io_context context;
  PolledStream socket(context, fd.get(), hop.stop_fd, limits_.idle_ms_max, limits_.wall_ms_max);
  Status status;
  if (url.is_tls) {
    ssl::stream<PolledStream&> stream(socket, tls_->context);
    boost::system::error_code error;
    stream.set_verify_callback(ssl::host_name_verification(url.host.host), error);
    const bool is_address = url.host.host.find_first_not_of("0123456789.:") == std::string::npos;
    if (!is_address) {  // the macro for it has a cast of C
      SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               const_cast<char*>(url.host.host.c_str()));
    }
    if (!error) stream.handshake(ssl::stream_base::client, error);
    status = error ? BrokeOff(url, "TLS: " + error.message()) : hop.Exchange(stream, message, url);
  } else {
    status = hop.Exchange(socket, message, url);
  }
  hop.answer->bytes_out += socket.bytes_written();
  hop.answer->bytes_in += socket.bytes_read();
  return status;
}

}  // namespace taskmint::sandbox
