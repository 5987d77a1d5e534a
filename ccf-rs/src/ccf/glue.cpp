#include "ccf-rs/src/ccf/glue.h"

#include "ccf-rs/src/ccf/bridge.rs.h"
#include "ccf/common_auth_policies.h"
#include "ccf/ds/logger.h"
#include "ccf/historical_queries_utils.h"
#include "ccf/network_identity_interface.h"
#include "ccf/pal/platform.h"
#include "ccf/receipt.h"
#include "ccf/run.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace ccf_rs
{
  namespace
  {
    using Row = ccf::kv::untyped::MapHandle::KeyType;

    std::string text(rust::Str value)
    {
      return {value.data(), value.size()};
    }

    Row row(Bytes bytes)
    {
      return {bytes.begin(), bytes.end()};
    }

    std::optional<Row> bound(bool bounded, Bytes bytes)
    {
      return bounded ? std::make_optional(row(bytes)) : std::nullopt;
    }

    template <typename T>
    Bytes bytes(const T& value)
    {
      return {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()};
    }

    template <typename T>
    bool show_value(Visitor& visitor, const T& value)
    {
      return show(visitor, Bytes(), bytes(value));
    }

    template <typename T>
    bool show_part(Visitor& visitor, std::string_view name, const T& value)
    {
      return show(visitor, bytes(name), bytes(value));
    }

    template <typename T>
    Ended show_if_any(Visitor& visitor, const std::optional<T>& value)
    {
      if (!value.has_value())
      {
        return Ended::Absent;
      }
      show_value(visitor, *value);
      return Ended::Done;
    }

    /// An application cannot go on where the framework does not know the answer to such a question; `NotFound` is an answer.
    Ended ended(ccf::ApiResult result)
    {
      if (result == ccf::ApiResult::OK)
      {
        return Ended::Done;
      }
      if (result == ccf::ApiResult::NotFound)
      {
        return Ended::Absent;
      }
      throw std::runtime_error(ccf::api_result_to_str(result));
    }

    template <typename T>
    void show_message(Visitor& visitor, const T& identity)
    {
      show_part(visitor, "payload", identity.content);
      show_part(visitor, "envelope", identity.envelope);
      show_part(visitor, "signature", identity.signature);
    }

    /// One handle for each range, so that asking again finds what was fetched.
    ccf::historical::RequestHandle handle_of(std::uint64_t first, std::uint64_t last)
    {
      return first * 0x9e3779b97f4a7c15U + last;
    }

    /// How long fetched transactions wait for the caller to come back.
    constexpr auto FETCHED_FOR = std::chrono::seconds(60);
  }

  void log_failure(rust::Str line) noexcept
  {
    try
    {
      CCF_APP_FAIL("{}", text(line));
    }
    catch (...)
    {
      // A line that cannot be written is lost.
    }
  }

  int run(int argc, char** argv)
  {
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    const auto end = std::ranges::find(arguments, std::string_view("--"));
    const auto count = end - arguments.begin();
    if (end != arguments.end())
    {
      for (const auto* argument : arguments.subspan(static_cast<std::size_t>(count) + 1))
      {
        add_argument(argument);
      }
    }
    if (!start(ccf::pal::platform == ccf::pal::Platform::SNP))
    {
      return 2;
    }
    return ccf::run(static_cast<int>(count), argv);
  }

  void Registry::init_handlers()
  {
    CommonEndpointRegistry::init_handlers();
    ccf_rs::install(*this);
  }

  bool Registry::request_needs_root(const ccf::RpcContext& request)
  {
    const std::string verb = request.get_request_verb().c_str();
    const auto path = request.get_method();
    return needs_root(verb, path);
  }

  void Registry::build_api(nlohmann::json& document, ccf::kv::ReadOnlyTx& reader)
  {
    // The framework describes its own endpoints, the application its own.
    UserEndpointRegistry::build_api(document, reader);
    document.merge_patch(application);
  }

  void Registry::describe(rust::Str document)
  {
    application = nlohmann::json::parse(document.begin(), document.end());
  }

  void Registry::admit(Policy policy, rust::Str message_type)
  {
    const auto type = message_type.empty() ? std::nullopt : std::make_optional(text(message_type));
    switch (policy)
    {
      case Policy::Anonymous:
        policies.push_back(ccf::empty_auth_policy);
        break;
      case Policy::MemberCert:
        policies.push_back(ccf::member_cert_auth_policy);
        break;
      case Policy::UserCert:
        policies.push_back(ccf::user_cert_auth_policy);
        break;
      case Policy::AnyCert:
        policies.push_back(ccf::any_cert_auth_policy);
        break;
      case Policy::Jwt:
        policies.push_back(ccf::jwt_auth_policy);
        break;
      case Policy::MemberCose:
        policies.push_back(std::make_shared<ccf::MemberCOSESign1AuthnPolicy>(type));
        break;
      case Policy::ActiveMemberCose:
        policies.push_back(std::make_shared<ccf::ActiveMemberCOSESign1AuthnPolicy>(type));
        break;
      case Policy::UserCose:
        if (type.has_value())
        {
          policies.push_back(std::make_shared<ccf::TypedUserCOSESign1AuthnPolicy>(*type));
        }
        else
        {
          policies.push_back(ccf::user_cose_sign1_auth_policy);
        }
        break;
    }
  }

  void Registry::serve(
    std::size_t index,
    rust::Str verb,
    rust::Str path,
    bool writes,
    Place place)
  {
    const auto admitted = std::exchange(policies, {});
    auto made = writes ?
      make_endpoint(
        text(path),
        ccf::RESTVerb(text(verb)),
        [this, index](ccf::endpoints::EndpointContext& context) {
          Exchange exchange(*this, context, context.tx, &context.tx);
          dispatch(index, exchange);
          exchange.conclude();
        },
        admitted) :
      make_read_only_endpoint(
        text(path),
        ccf::RESTVerb(text(verb)),
        [this, index](ccf::endpoints::ReadOnlyEndpointContext& context) {
          Exchange exchange(*this, context, context.tx, nullptr);
          dispatch(index, exchange);
          exchange.conclude();
        },
        admitted);
    using ccf::endpoints::ForwardingRequired;
    using ccf::endpoints::RedirectionStrategy;
    switch (place)
    {
      case Place::Primary:
        made.set_forwarding_required(ForwardingRequired::Always);
        break;
      case Place::AnyNode:
        made.set_forwarding_required(ForwardingRequired::Sometimes);
        // CCF couples this with a redirection, which would keep a backup from answering.
        made.set_redirection_strategy(RedirectionStrategy::None);
        break;
      case Place::ThisNode:
        made.set_forwarding_required(ForwardingRequired::Never);
        break;
    }
    made.set_openapi_hidden(true).install();
  }

  Past::Past(ccf::historical::StatePtr state_) : state(std::move(state_)) {}

  std::uint64_t Past::view() const noexcept
  {
    return state->transaction_id.view;
  }

  std::uint64_t Past::seqno() const noexcept
  {
    return state->transaction_id.seqno;
  }

  Ended Past::get(rust::Str table, Bytes key, Visitor& visitor) const noexcept
  {
    try
    {
      auto transaction = state->store->create_read_only_tx();
      return show_if_any(visitor, transaction.ro<Table>(text(table))->get(row(key)));
    }
    catch (const std::exception& error)
    {
      show_value(visitor, std::string_view(error.what()));
    }
    catch (...)
    {
      show_value(visitor, std::string_view("unknown exception"));
    }
    return Ended::Failed;
  }

  Ended Past::receipt(Visitor& visitor) const noexcept
  {
    try
    {
      if (state->receipt == nullptr)
      {
        throw std::runtime_error("the transaction has no receipt");
      }
      show_value(visitor, ccf::describe_receipt_v1(*state->receipt).dump());
      return Ended::Done;
    }
    catch (const std::exception& error)
    {
      show_value(visitor, std::string_view(error.what()));
    }
    catch (...)
    {
      show_value(visitor, std::string_view("unknown exception"));
    }
    return Ended::Failed;
  }

  Exchange::Exchange(
    Registry& registry_,
    ccf::endpoints::CommandEndpointContext& context,
    ccf::kv::ReadOnlyTx& reader_,
    ccf::kv::Tx* writer_) :
    registry(registry_),
    request(*context.rpc_ctx),
    caller(context.caller.get()),
    reader(reader_),
    writer(writer_)
  {}

  void Exchange::conclude()
  {
    if (held != nullptr)
    {
      std::rethrow_exception(held);
    }
    if (!answered)
    {
      request.clear_response_headers();
      request.set_error(
        HTTP_STATUS_INTERNAL_SERVER_ERROR,
        "InternalError",
        "The request failed inside the service.");
      request.set_apply_writes(false);
    }
  }

  template <typename F>
  Ended Exchange::guarded(F&& call) noexcept
  {
    if (held != nullptr)
    {
      return Ended::Again;
    }
    try
    {
      return call();
    }
    catch (const std::exception& error)
    {
      try
      {
        reason = error.what();
      }
      catch (...)
      {
        reason.clear();
      }
      return Ended::Failed;
    }
    catch (...)
    {
      held = std::current_exception();
      return Ended::Again;
    }
  }

  Table::Handle& Exchange::readable(rust::Str table)
  {
    return *reader.ro<Table>(text(table));
  }

  Table::Handle& Exchange::writable(rust::Str table)
  {
    if (writer == nullptr)
    {
      throw std::logic_error("a read-only transaction cannot write");
    }
    return *writer->rw<Table>(text(table));
  }

  Bytes Exchange::url() const noexcept
  {
    return bytes(request.get_request_url());
  }

  Bytes Exchange::body() const noexcept
  {
    return bytes(request.get_request_body());
  }

  void Exchange::headers(Visitor& visitor) const noexcept
  {
    for (const auto& [name, value] : request.get_request_headers())
    {
      show_part(visitor, name, value);
    }
  }

  void Exchange::path_components(Visitor& visitor) const noexcept
  {
    for (const auto& [name, value] : request.get_request_path_params())
    {
      show_part(visitor, name, value);
    }
  }

  Identity Exchange::identity(Visitor& visitor) const noexcept
  {
    // Nothing here throws but for want of memory, which ends the process.
    if (caller == nullptr)
    {
      return Identity::Unasked;
    }
    if (dynamic_cast<const ccf::EmptyAuthnIdentity*>(caller) != nullptr)
    {
      return Identity::Anonymous;
    }
    if (const auto* member = dynamic_cast<const ccf::MemberCertAuthnIdentity*>(caller))
    {
      show_part(visitor, "id", member->member_id.value());
      return Identity::Member;
    }
    if (const auto* user = dynamic_cast<const ccf::UserCertAuthnIdentity*>(caller))
    {
      show_part(visitor, "id", user->user_id.value());
      return Identity::User;
    }
    if (const auto* any = dynamic_cast<const ccf::AnyCertAuthnIdentity*>(caller))
    {
      show_part(visitor, "certificate", any->cert);
      return Identity::Certificate;
    }
    if (const auto* token = dynamic_cast<const ccf::JwtAuthnIdentity*>(caller))
    {
      show_part(visitor, "issuer", token->key_issuer);
      show_part(visitor, "header", token->header.dump());
      show_part(visitor, "payload", token->payload.dump());
      return Identity::Jwt;
    }
    if (const auto* member = dynamic_cast<const ccf::MemberCOSESign1AuthnIdentity*>(caller))
    {
      show_part(visitor, "id", member->member_id.value());
      show_message(visitor, *member);
      const auto& header = member->protected_header;
      show_part(visitor, "created_at", std::to_string(header.gov_msg_created_at));
      if (header.gov_msg_type.has_value())
      {
        show_part(visitor, "message_type", *header.gov_msg_type);
      }
      if (header.gov_msg_proposal_id.has_value())
      {
        show_part(visitor, "proposal_id", *header.gov_msg_proposal_id);
      }
      return Identity::MemberCose;
    }
    if (const auto* user = dynamic_cast<const ccf::UserCOSESign1AuthnIdentity*>(caller))
    {
      show_part(visitor, "id", user->user_id.value());
      show_message(visitor, *user);
      const auto& header = user->protected_header;
      if (header.msg_created_at.has_value())
      {
        show_part(visitor, "created_at", std::to_string(*header.msg_created_at));
      }
      if (header.msg_type.has_value())
      {
        show_part(visitor, "message_type", *header.msg_type);
      }
      return Identity::UserCose;
    }
    return Identity::Other;
  }

  Ended Exchange::get(rust::Str table, Bytes key, Visitor& visitor) noexcept
  {
    return guarded([&] { return show_if_any(visitor, readable(table).get(row(key))); });
  }

  Ended Exchange::committed(rust::Str table, Bytes key, Visitor& visitor) noexcept
  {
    return guarded(
      [&] { return show_if_any(visitor, readable(table).get_globally_committed(row(key))); });
  }

  Ended Exchange::has(rust::Str table, Bytes key) noexcept
  {
    return guarded([&] { return readable(table).has(row(key)) ? Ended::Done : Ended::Absent; });
  }

  Ended Exchange::each(rust::Str table, Visitor& visitor) noexcept
  {
    return guarded([&] {
      readable(table).foreach([&](const Row& key, const Row& value) {
        return show(visitor, bytes(key), bytes(value));
      });
      return Ended::Done;
    });
  }

  Ended Exchange::range(
    rust::Str table,
    bool bounded_below,
    Bytes from,
    bool bounded_above,
    Bytes to,
    Visitor& visitor) noexcept
  {
    return guarded([&] {
      bool more = true;
      readable(table).range(
        [&](const Row& key, const Row& value) {
          more = more && show(visitor, bytes(key), bytes(value));
        },
        bound(bounded_below, from),
        bound(bounded_above, to));
      return Ended::Done;
    });
  }

  Number Exchange::size(rust::Str table) noexcept
  {
    std::uint64_t size = 0;
    const auto ended = guarded([&] {
      size = readable(table).size();
      return Ended::Done;
    });
    return {ended, size};
  }

  Number Exchange::previous_write(rust::Str table, Bytes key) noexcept
  {
    std::uint64_t seqno = 0;
    const auto ended = guarded([&] {
      const auto version = readable(table).get_version_of_previous_write(row(key));
      seqno = version.value_or(0);
      return version.has_value() ? Ended::Done : Ended::Absent;
    });
    return {ended, seqno};
  }

  Ended Exchange::put(rust::Str table, Bytes key, Bytes value) noexcept
  {
    return guarded([&] {
      writable(table).put(row(key), row(value));
      return Ended::Done;
    });
  }

  Ended Exchange::remove(rust::Str table, Bytes key) noexcept
  {
    return guarded([&] {
      writable(table).remove(row(key));
      return Ended::Done;
    });
  }

  Ended Exchange::clear(rust::Str table) noexcept
  {
    return guarded([&] {
      writable(table).clear();
      return Ended::Done;
    });
  }

  Ended Exchange::set_claims_digest(const std::array<std::uint8_t, 32>& digest) noexcept
  {
    return guarded([&] {
      request.set_claims_digest(ccf::crypto::Sha256Hash::from_representation(digest));
      return Ended::Done;
    });
  }

  Number Exchange::view_of(std::uint64_t seqno) noexcept
  {
    ccf::View view = 0;
    const auto found = guarded([&] { return ended(registry.get_view_for_seqno_v1(seqno, view)); });
    return {found, view};
  }

  Number Exchange::status_of(std::uint64_t view, std::uint64_t seqno) noexcept
  {
    auto status = Status::Unknown;
    const auto found = guarded([&] {
      ccf::TxStatus known = ccf::TxStatus::Unknown;
      const auto result = ended(registry.get_status_for_txid_v1(view, seqno, known));
      switch (known)
      {
        case ccf::TxStatus::Unknown:
          status = Status::Unknown;
          break;
        case ccf::TxStatus::Pending:
          status = Status::Pending;
          break;
        case ccf::TxStatus::Committed:
          status = Status::Committed;
          break;
        case ccf::TxStatus::Invalid:
          status = Status::Invalid;
          break;
      }
      return result;
    });
    return {found, static_cast<std::uint64_t>(status)};
  }

  Id Exchange::last_committed() noexcept
  {
    ccf::View view = 0;
    ccf::SeqNo seqno = 0;
    const auto found =
      guarded([&] { return ended(registry.get_last_committed_txid_v1(view, seqno)); });
    return {found, view, seqno};
  }

  Ended Exchange::root(Visitor& visitor) noexcept
  {
    return guarded([&] {
      const auto root = reader.get_root_at_read_version();
      return show_if_any(
        visitor, root.has_value() ? std::make_optional(root->h) : std::nullopt);
    });
  }

  Ended Exchange::fetch_past(std::uint64_t first, std::uint64_t last) noexcept
  {
    return guarded([&] {
      auto& history = registry.node().get_historical_state();
      past = history.get_state_range(handle_of(first, last), first, last, FETCHED_FOR);
      if (past.empty())
      {
        return Ended::Absent;
      }
      // A receipt from before a recovery is endorsed by the service that signed it.
      const auto identity =
        registry.node().get_subsystem<ccf::NetworkIdentitySubsystemInterface>();
      for (auto& state : past)
      {
        if (!ccf::historical::populate_service_endorsements(reader, state, history, identity))
        {
          past.clear();
          return Ended::Absent;
        }
      }
      std::ranges::reverse(past);
      return Ended::Done;
    });
  }

  std::unique_ptr<Past> Exchange::take_past() noexcept
  {
    if (past.empty())
    {
      return nullptr;
    }
    auto next = std::make_unique<Past>(std::move(past.back()));
    past.pop_back();
    return next;
  }

  Bytes Exchange::failure() const noexcept
  {
    return bytes(reason);
  }

  Ended Exchange::add_header(rust::Str name, rust::Str value) noexcept
  {
    return guarded([&] {
      request.set_response_header(text(name), text(value));
      return Ended::Done;
    });
  }

  Ended Exchange::answer(std::uint16_t status, Bytes body, bool keep_writes) noexcept
  {
    return guarded([&] {
      request.set_response_status(status);
      request.set_response_body(std::vector<std::uint8_t>(body.begin(), body.end()));
      request.set_apply_writes(keep_writes);
      answered = true;
      return Ended::Done;
    });
  }
}
