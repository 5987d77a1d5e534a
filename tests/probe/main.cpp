#include "ccf-rs/src/ccf/glue.h"
#include "ccf/common_auth_policies.h"

namespace
{
  /// The probe, and beside its empty endpoint the same in C++, to measure the bridge against.
  class Probe : public ccf_rs::Registry
  {
  public:
    using Registry::Registry;

    void init_handlers() override
    {
      Registry::init_handlers();
      make_read_only_endpoint(
        "/empty-in-cpp",
        HTTP_GET,
        [](ccf::endpoints::ReadOnlyEndpointContext& context) {
          context.rpc_ctx->set_response_status(HTTP_STATUS_OK);
        },
        ccf::no_auth_required)
        .install();
    }
  };
}

namespace ccf
{
  std::unique_ptr<endpoints::EndpointRegistry> make_user_endpoints(AbstractNodeContext& context)
  {
    return std::make_unique<Probe>(context);
  }
}

int main(int argc, char** argv)
{
  return ccf_rs::run(argc, argv);
}
