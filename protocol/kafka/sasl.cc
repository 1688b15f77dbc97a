#include "protocol/kafka/sasl.h"

namespace runnel::protocol::kafka {

void SaslHandshakeRequest::describe(Fields& f) {
  f(mechanism);
  f.tags();
}

void SaslHandshakeResponse::describe(Fields& f) {
  f(error);
  f(mechanisms);
  f.tags();
}

void SaslAuthenticateRequest::describe(Fields& f) {
  f(token);
  f.tags();
}

void SaslAuthenticateResponse::describe(Fields& f) {
  f(error);
  f(error_message);
  f(token);
  f(session_lifetime_ms, from(1));
  f.tags();
}

}  // namespace runnel::protocol::kafka
