/**
 * gRPC health checking (grpc.health.v1). The server as a whole, named by the empty string, serves as long as it answers;
 * that is all that etcd tells here, too. Whether there is a leader is told by Status and by /readyz.
 */
import { err, ok } from '../../../lib/result.ts'
import { send, type CallContext, type RpcStatus, type RpcStream, type ServiceTable } from '../../grpc/service.ts'
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../proto/generated/health/health.ts'
import { aborted, decode } from './method.ts'

export function healthService(): ServiceTable {
  return {
    '/grpc.health.v1.Health/Check': {
      kind: 'unary',
      handle: (bytes) => {
        const request = decode(HealthCheckRequest, bytes)
        if (!request.ok) return request
        if (request.value.service !== '') return err({ code: 'NotFound', message: 'unknown service' })
        return ok(HealthCheckResponse.encode({ status: ServingStatus.SERVING }).finish())
      },
    },
    '/grpc.health.v1.Health/Watch': { kind: 'stream', handle: watch },
  }
}

/** The first status, and then nothing: it does not change until the server stops, which ends the stream. */
async function watch(stream: RpcStream, { signal }: CallContext): Promise<RpcStatus | undefined> {
  for await (const bytes of stream.requests) {
    const request = decode(HealthCheckRequest, bytes)
    if (!request.ok) return request.error
    const status = request.value.service === '' ? ServingStatus.SERVING : ServingStatus.SERVICE_UNKNOWN
    await send(stream, HealthCheckResponse.encode({ status }).finish())
    await aborted(signal)
    return { code: 'Canceled', message: 'stream has ended' }
  }
  return undefined
}
