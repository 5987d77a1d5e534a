// The C++ side of the bridge: CCF's application interface (CCF interface, section 9) as functions that never throw into Rust.
// What each function means is said in bridge.rs; what makes it safe, in mod.rs.
#pragma once

#include "ccf/app_interface.h"
#include "ccf/endpoint_context.h"
#include "ccf/kv/untyped_map_handle.h"
#include "ccf/tx.h"
#include "rust/cxx.h"

#include <array>
#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace ccf_rs
{
  struct Visitor;
  struct Number;
  struct Id;
  enum class Ended : std::uint8_t;
  enum class Policy : std::uint8_t;
  enum class Identity : std::uint8_t;
  enum class Place : std::uint8_t;

  using Bytes = rust::Slice<const std::uint8_t>;

  /// Starts the application and then CCF. Arguments behind `--` are the application's.
  int run(int argc, char** argv);

  void log_failure(rust::Str text) noexcept;

  /// A table of byte strings. CCF's own handle for them is public and, unlike the typed ones, knows ranges.
  struct Table
  {
    using Handle = ccf::kv::untyped::MapHandle;
    using ReadOnlyHandle = ccf::kv::untyped::MapHandle;
  };

  /// What `ccf::make_user_endpoints` returns. Each node defines that function and `main`.
  class Registry : public ccf::UserEndpointRegistry
  {
  public:
    using UserEndpointRegistry::UserEndpointRegistry;

    void init_handlers() override;
    bool request_needs_root(const ccf::RpcContext& request) override;

    void build_api(nlohmann::json& document, ccf::kv::ReadOnlyTx& reader) override;

    void describe(rust::Str document);
    void admit(Policy policy, rust::Str message_type);
    void serve(
      std::size_t endpoint,
      rust::Str verb,
      rust::Str path,
      bool writes,
      Place place);

    ccf::AbstractNodeContext& node()
    {
      return context;
    }

  private:
    nlohmann::json application;
    ccf::AuthnPolicies policies;
  };

  class Past
  {
  public:
    explicit Past(ccf::historical::StatePtr state);

    std::uint64_t view() const noexcept;
    std::uint64_t seqno() const noexcept;
    Ended get(rust::Str table, Bytes key, Visitor& visitor) const noexcept;
    Ended receipt(Visitor& visitor) const noexcept;

  private:
    ccf::historical::StatePtr state;
  };

  class Exchange
  {
  public:
    Exchange(
      Registry& registry,
      ccf::endpoints::CommandEndpointContext& context,
      ccf::kv::ReadOnlyTx& reader,
      ccf::kv::Tx* writer);

    /// After the handler: throws on what it could not see, and leaves no request without an answer.
    void conclude();

    Bytes url() const noexcept;
    Bytes body() const noexcept;
    void headers(Visitor& visitor) const noexcept;
    void path_components(Visitor& visitor) const noexcept;
    Identity identity(Visitor& visitor) const noexcept;

    Ended get(rust::Str table, Bytes key, Visitor& visitor) noexcept;
    Ended committed(rust::Str table, Bytes key, Visitor& visitor) noexcept;
    Ended has(rust::Str table, Bytes key) noexcept;
    Ended each(rust::Str table, Visitor& visitor) noexcept;
    Ended range(
      rust::Str table,
      bool bounded_below,
      Bytes from,
      bool bounded_above,
      Bytes to,
      Visitor& visitor) noexcept;
    Number size(rust::Str table) noexcept;
    Number previous_write(rust::Str table, Bytes key) noexcept;
    Ended put(rust::Str table, Bytes key, Bytes value) noexcept;
    Ended remove(rust::Str table, Bytes key) noexcept;
    Ended clear(rust::Str table) noexcept;
    Ended set_claims_digest(const std::array<std::uint8_t, 32>& digest) noexcept;

    Number view_of(std::uint64_t seqno) noexcept;
    Number status_of(std::uint64_t view, std::uint64_t seqno) noexcept;
    Id last_committed() noexcept;
    Ended root(Visitor& visitor) noexcept;
    Ended fetch_past(std::uint64_t first, std::uint64_t last) noexcept;
    std::unique_ptr<Past> take_past() noexcept;

    Bytes failure() const noexcept;
    Ended add_header(rust::Str name, rust::Str value) noexcept;
    Ended answer(std::uint16_t status, Bytes body, bool keep_writes) noexcept;

  private:
    Registry& registry;
    ccf::RpcContext& request;
    const ccf::AuthnIdentity* caller;
    ccf::kv::ReadOnlyTx& reader;
    ccf::kv::Tx* writer;
    std::vector<ccf::historical::StatePtr> past;
    std::string reason;
    std::exception_ptr held;
    bool answered = false;

    /// Runs `call`; what it throws becomes a value.
    template <typename F>
    Ended guarded(F&& call) noexcept;

    Table::Handle& readable(rust::Str table);
    Table::Handle& writable(rust::Str table);
  };
}
