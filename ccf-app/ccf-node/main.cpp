#include "ccf-rs/src/ccf/glue.h"

namespace ccf
{
  std::unique_ptr<endpoints::EndpointRegistry> make_user_endpoints(AbstractNodeContext& context)
  {
    return std::make_unique<ccf_rs::Registry>(context);
  }
}

int main(int argc, char** argv)
{
  return ccf_rs::run(argc, argv);
}
