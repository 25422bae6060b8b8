#include "families/contract/types.h"

#include <charconv>

#include "families/base/check.h"
#include "families/contract/configuration.pb.h"

namespace qk::families {

std::string encode_configuration(const Configuration& configuration) {
  proto::ConfigurationPBMeta message;
  for (const std::string& peer : configuration.peers) message.add_peers(peer);
  for (const std::string& peer : configuration.old_peers) message.add_old_peers(peer);
  return message.SerializeAsString();
}

absl::StatusOr<Configuration> decode_configuration(std::string_view payload) {
  if (payload.size() > kMaxConfigurationBytes) {
    return absl::DataLossError(cat("configuration of ", payload.size(), " bytes, expected at most ",
                                   kMaxConfigurationBytes));
  }
  proto::ConfigurationPBMeta message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError(
        cat("configuration of ", payload.size(), " bytes is not a ConfigurationPBMeta"));
  }
  Configuration configuration;
  configuration.peers.assign(message.peers().begin(), message.peers().end());
  configuration.old_peers.assign(message.old_peers().begin(), message.old_peers().end());
  return configuration;
}

absl::StatusOr<std::string> canonical_peer(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        cat("peer \"", text, "\": ", why, "; expected ip:port[:index[:role]]"));
  };
  std::string_view rest = text;
  const auto next = [&rest] {
    const size_t colon = rest.find(':');
    const std::string_view field = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    return field;
  };
  const auto number = [](std::string_view field, int low, int high, int* value) {
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), *value);
    return error == std::errc() && end == field.data() + field.size() && *value >= low &&
           *value <= high;
  };

  const std::string_view ip = next();
  std::string_view octets = ip;
  for (int i = 0; i < 4; ++i) {
    const size_t dot = octets.find('.');
    int value = 0;
    if ((dot == std::string_view::npos) != (i == 3)) return bad("no IPv4 address");
    if (!number(octets.substr(0, dot), 0, 255, &value)) return bad("no IPv4 address");
    octets = dot == std::string_view::npos ? std::string_view() : octets.substr(dot + 1);
  }
  if (rest.empty()) return bad("no port");
  int port = 0;
  int index = 0;
  int role = 0;
  if (!number(next(), 0, 65535, &port)) return bad("port is not in 0..65535");
  if (!rest.empty() && !number(next(), 0, 1 << 30, &index)) return bad("index is not a number");
  if (!rest.empty() && !number(next(), 0, 1, &role)) return bad("role is not 0 or 1");
  if (!rest.empty()) return bad("more than four fields");
  if (ip == "0.0.0.0" && port == 0 && index == 0) return "";
  return cat(ip, ":", port, ":", index, ":", role);
}

std::string legacy_peer(std::string_view peer) {
  return peer.empty() ? "0.0.0.0:0:0:0" : std::string(peer);
}

std::string_view to_string(EntryType type) {
  switch (type) {
    case EntryType::kNoOp:
      return "no-op";
    case EntryType::kData:
      return "data";
    case EntryType::kConfiguration:
      return "configuration";
  }
  return "unknown";
}

}  // namespace qk::families
