/** Status codes of gRPC in the gateway's answers: the HTTP statuses that etcd's gateway gives them. */
import type { RpcStatus } from '../../grpc/service.ts'

type Code = RpcStatus['code']

export const HTTP_STATUS: Readonly<Record<Code, number>> = {
  Canceled: 499,
  Unknown: 500,
  InvalidArgument: 400,
  DeadlineExceeded: 504,
  NotFound: 404,
  AlreadyExists: 409,
  PermissionDenied: 403,
  ResourceExhausted: 429,
  FailedPrecondition: 400,
  Aborted: 409,
  OutOfRange: 400,
  Unimplemented: 501,
  Internal: 500,
  Unavailable: 503,
  DataLoss: 500,
  Unauthenticated: 401,
}
