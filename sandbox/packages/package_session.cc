#include "sandbox/packages/package_session.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>

#include "proto/base/digest.h"
#include "proto/base/log.h"
#include "sandbox/errors.h"
#include "sandbox/packages/index_page.h"

namespace taskmint::sandbox {
namespace {

constexpr int64_t kRequestMsMax = 30'000;
constexpr int64_t kClientIdleMsMax = 60'000;
constexpr int64_t kClientWallMsMax = 7'200'000;
constexpr int64_t kPageBytesMax = int64_t{32} << 20;
constexpr size_t kAllowedHostsMax = 512;

bool HasEnded(int stop_fd) {
  pollfd polled{stop_fd, POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

// What says something about the URL rather than about the moment.
bool IsKept(int status) {
  return status == 200 || status == 403 || status == 404 || status == 405 || status == 410 ||
         status == 501;
}

// Lets a URL go, however its fetch ends.
class HandHold {
 public:
  HandHold(FetchesInHand& in_hand, const std::string& key) : in_hand_(in_hand), key_(key) {}
  ~HandHold() { in_hand_.End(key_); }
  HandHold(const HandHold&) = delete;
  HandHold& operator=(const HandHold&) = delete;

 private:
  FetchesInHand& in_hand_;
  const std::string& key_;
};

class PackageSession {
 public:
  PackageSession(const PackageCacheParts& parts, int client, int stop_fd)
      : parts_(parts),
        client_(client),
        stop_fd_(stop_fd),
        stream_(context_, client, stop_fd, kClientIdleMsMax, kClientWallMsMax) {}

  PackageConnection Serve() {
    Answer();
    connection_.bytes_served = stream_.bytes_written();
    return std::move(connection_);
  }

 private:
  using Source = PackageConnection::Source;

  void Answer() {
    PolledStream head(context_, client_, stop_fd_, kRequestMsMax, kRequestMsMax);
    auto request = ReadClientRequest(head);
    if (!request.ok()) {
      const Code code = request.status().code();
      if (code == Code::kCancelled) return;
      return Say(code == Code::kUnimplemented ? 405 : 400, request.status().message());
    }
    request_ = *std::move(request);
    connection_.method = request_.method;
    auto route = RouteOf(request_.target, parts_.index_urls);
    if (!route.ok()) {
      return Say(route.status().code() == Code::kNotFound ? 404 : 400, route.status().message());
    }
    route_ = *std::move(route);
    url_ = route_.url.Text();
    connection_.url = url_;
    if (GiveRecorded()) return;
    if (parts_.upstream == nullptr) {
      Log(LogLevel::kWarning, "package was not recorded",
          {{"method", request_.method}, {"url", url_}});
      return Say(504, url_ + " was not recorded, and a replay has no network: record it first");
    }
    // A page is fetched whole also where only its head is asked for.
    const std::string method = route_.index.has_value() ? "GET" : request_.method;
    const std::string key = method + " " + url_;
    while (!parts_.in_hand.TryBegin(key)) {
      parts_.in_hand.AwaitAnEnd();
      if (HasEnded(stop_fd_) || GiveRecorded()) return;
    }
    const HandHold hold(parts_.in_hand, key);
    if (!GiveRecorded()) FetchAndGive(method);
  }

  void Say(int status, const std::string& line) {
    connection_.status = status;
    SendText(stream_, status, line, request_.is_head());
  }

  // What went wrong with the folder is told outside: it has paths of this machine.
  void SayFolderFailed(const Status& status) {
    Log(LogLevel::kError, "package recording failed",
        {{"url", url_}, {"error", status.ToString()}});
    if (status.code() == Code::kResourceExhausted) {
      return Say(507, "there is no room to record " + url_ + "; the log outside says more");
    }
    Say(500, (status.code() == Code::kDataLoss ? "the recording is damaged at "
                                               : "the recording cannot be used for ") +
                 url_ + "; the log outside says more");
  }

  // False where nothing is recorded.
  bool GiveRecorded() {
    auto found = parts_.recording.Find("GET", url_);
    if (found.ok() && !found->has_value() && request_.is_head()) {
      found = parts_.recording.Find("HEAD", url_);
    }
    if (!found.ok()) {
      SayFolderFailed(found.status());
      return true;
    }
    if (!found->has_value()) return false;
    if (connection_.source == Source::kNone) connection_.source = Source::kRecording;
    Give(**found);
    return true;
  }

  void Give(const RecordedAnswer& answer) {
    if (answer.status != 200) {
      return Say(answer.status,
                 "the index answers " + std::to_string(answer.status) + " for " + url_);
    }
    const auto form = FormOf(answer.content_type);
    if (!answer.has_body()) return GiveHeadAlone(answer);
    if (form.has_value()) return GivePage(*form, answer);
    GiveFile(answer);
  }

  std::optional<PageForm> FormOf(const std::string& content_type) const {
    if (!route_.index.has_value() || route_.is_root) return std::nullopt;
    return PageFormOf(parts_.recording.indexes()[*route_.index].kind, content_type);
  }

  void GiveHeadAlone(const RecordedAnswer& answer) {
    ClientHead head;
    head.content_type = answer.content_type;
    head.content_encoding = answer.content_encoding;
    head.content_bytes = answer.bytes;
    connection_.status = 200;
    SendHead(stream_, head);
  }

  void GivePage(PageForm form, const RecordedAnswer& answer) {
    const auto page = RewrittenOf(form, answer);
    if (!page.has_value()) return;
    ClientHead head;
    head.content_type = page->content_type;
    head.content_bytes = static_cast<int64_t>(page->body.size());
    head.etag = "\"" + Sha256Hex(page->body) + "\"";
    if (IsUnchanged(head)) return;
    connection_.status = head.status;
    if (SendHead(stream_, head) && !request_.is_head()) SendBytes(stream_, page->body);
  }

  // Nothing, with the client told, where it is no page.
  std::optional<RewrittenPage> RewrittenOf(PageForm form, const RecordedAnswer& answer) {
    const std::lock_guard lock(parts_.page_mutex);
    const auto body = parts_.recording.ReadBody(answer, kPageBytesMax);
    if (!body.ok()) {
      SayFolderFailed(body.status());
      return std::nullopt;
    }
    const auto base = ParsePackageUrl(answer.final_url);
    if (!answer.content_encoding.empty() || !base.ok()) {
      Say(502, "the index encodes " + url_ + " although it was asked not to");
      return std::nullopt;
    }
    auto page = RewriteIndexPage(form, *body, *base, !TakesPythonJson(request_.accept));
    if (!page.ok()) {
      Say(502, page.status().message());
      return std::nullopt;
    }
    for (const AllowedHost& host : page->hosts) {
      if (parts_.upstream == nullptr || parts_.allowed.size() >= kAllowedHostsMax) break;
      parts_.allowed.Add(host, Addresses::kPublic);
    }
    return *std::move(page);
  }

  // Answers 304 where the client has it already.
  bool IsUnchanged(ClientHead head) {
    if (!NamesEtag(request_.if_none_match, head.etag)) return false;
    head.status = connection_.status = 304;
    head.content_bytes = -1;
    SendHead(stream_, head);
    return true;
  }

  void GiveFile(const RecordedAnswer& answer) {
    const auto file = parts_.recording.OpenBody(answer);
    if (!file.ok()) return SayFolderFailed(file.status());
    ClientHead head;
    head.content_type = answer.content_type;
    head.content_encoding = answer.content_encoding;
    head.content_bytes = answer.bytes;
    head.etag = "\"" + answer.digest + "\"";
    head.takes_ranges = true;
    if (IsUnchanged(head)) return;
    ByteRange range{0, answer.bytes};
    const bool same = request_.if_range.empty() || request_.if_range == head.etag;
    const auto asked = ParseByteRange(request_.range, answer.bytes);
    if (asked.has_value() && same && !request_.is_head()) {
      range = *asked;
      const std::string of = "/" + std::to_string(answer.bytes);
      const bool empty = range.begin == range.end;
      head.status = empty ? 416 : 206;
      head.content_range =
          empty ? "bytes *" + of
                : "bytes " + std::to_string(range.begin) + "-" + std::to_string(range.end - 1) + of;
      head.content_bytes = range.end - range.begin;
    }
    connection_.status = head.status;
    if (SendHead(stream_, head) && !request_.is_head()) SendRange(file->get(), range);
  }

  void SendRange(int file, ByteRange range) {
    char bytes[65536];
    while (range.begin < range.end) {
      const auto wanted = std::min<int64_t>(sizeof bytes, range.end - range.begin);
      const ssize_t size =
          ::pread(file, bytes, static_cast<size_t>(wanted), static_cast<off_t>(range.begin));
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0 || !SendBytes(stream_, {bytes, static_cast<size_t>(size)})) return;
      range.begin += size;
    }
  }

  void FetchAndGive(const std::string& method) {
    UpstreamRequest request{route_.url, method, "*/*"};
    if (route_.index.has_value()) {
      request.accept = AcceptedForms(parts_.recording.indexes()[*route_.index].kind);
    }
    connection_.source = Source::kUpstream;
    UpstreamAnswer answer;
    const Status status = parts_.upstream->Fetch(
        request, parts_.allowed, [this](const UpstreamHead& head) { return BeginBody(head); },
        [this](std::string_view bytes) { return TakeBytes(bytes); }, stop_fd_, &answer);
    connection_.bytes_out = answer.bytes_out;
    connection_.bytes_in = answer.bytes_in;
    if (answer.bytes_out == 0) connection_.source = Source::kNone;  // refused, or out of reach
    const Status kept = status.ok() ? Keep(method, answer.head) : status;
    draft_.reset();
    if (kept.ok() && given_directly_) {
      if (client_listens_) SendBytes(stream_, held_back_);
      return;
    }
    // A body that is cut short tells the client that it is not whole.
    if (given_directly_) {
      connection_.status = 502;
      Log(LogLevel::kWarning, "package fetch failed", {{"url", url_}, {"error", kept.ToString()}});
      return;
    }
    if (!kept.ok()) return SayFetchFailed(kept);
    if (!IsKept(answer.head.status)) {
      const int told = answer.head.status >= 400 ? answer.head.status : 502;
      return Say(told, "the index answers " + std::to_string(answer.head.status) + " for " + url_);
    }
    if (!GiveRecorded()) Say(500, "the recording lost " + url_);
  }

  void SayFetchFailed(const Status& status) {
    if (folder_failed_) return SayFolderFailed(status);
    Log(LogLevel::kInfo, "package fetch failed", {{"url", url_}, {"error", status.ToString()}});
    Say(status.code() == Code::kPermissionDenied ? 403 : 502, status.message());
  }

  Status BeginBody(const UpstreamHead& head) {
    auto draft = parts_.recording.Begin();
    folder_failed_ = !draft.ok();
    if (!draft.ok()) return draft.status();
    draft_ = *std::move(draft);
    given_directly_ =
        head.content_bytes >= 0 && !FormOf(head.content_type).has_value() && !request_.is_head();
    if (!given_directly_) return OkStatus();
    ClientHead told;
    told.content_type = head.content_type;
    told.content_encoding = head.content_encoding;
    told.content_bytes = head.content_bytes;
    connection_.status = 200;
    client_listens_ = SendHead(stream_, told);
    return OkStatus();
  }

  Status TakeBytes(std::string_view bytes) {
    Status status = draft_->Append(bytes);
    folder_failed_ = !status.ok();
    if (!status.ok() || !given_directly_ || !client_listens_ || bytes.empty()) return status;
    client_listens_ = SendBytes(stream_, held_back_);
    held_back_ = bytes;
    return OkStatus();
  }

  Status Keep(const std::string& method, const UpstreamHead& head) {
    if (!IsKept(head.status)) return OkStatus();
    RecordedAnswer answer;
    answer.method = method;
    answer.url = url_;
    answer.final_url = head.final_url.Text();
    answer.status = head.status;
    if (head.status == 200) {
      answer.content_type = head.content_type;
      answer.content_encoding = head.content_encoding;
      answer.bytes = head.content_bytes;
    }
    Status status = draft_ != nullptr ? parts_.recording.Keep(*draft_, std::move(answer))
                                            : parts_.recording.Keep(answer);
    folder_failed_ = !status.ok();
    return status;
  }

  const PackageCacheParts& parts_;
  const int client_;
  const int stop_fd_;
  boost::asio::io_context context_;
  PolledStream stream_;
  PackageConnection connection_;
  ClientRequest request_;
  PackageRoute route_;
  std::string url_;
  // Of a fetch:
  std::unique_ptr<Recording::Draft> draft_;
  bool given_directly_ = false;  // the client gets the bytes as they come
  bool client_listens_ = false;
  bool folder_failed_ = false;
  std::string held_back_;  // the last bytes that came, until all are recorded
};

}  // namespace

bool FetchesInHand::TryBegin(const std::string& key) {
  const std::lock_guard lock(mutex_);
  return keys_.insert(key).second;
}

void FetchesInHand::AwaitAnEnd() {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, std::chrono::milliseconds(200));
}

void FetchesInHand::End(const std::string& key) {
  {
    const std::lock_guard lock(mutex_);
    keys_.erase(key);
  }
  ended_.notify_all();
}

PackageConnection ServePackageRequest(const PackageCacheParts& parts, int client, int stop_fd) {
  PackageSession session(parts, client, stop_fd);
  return session.Serve();
}

}  // namespace taskmint::sandbox
