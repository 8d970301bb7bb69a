/**
 * gRPC reflection: what this member serves, in descriptors, so that grpcurl and its like need no protos. Both versions of
 * the service are the same but for their names. etcd 3.7 does not have it.
 */
import type { RpcStatus, RpcStream, ServiceTable } from '../../grpc/service.ts'

const METHOD = 'ServerReflectionInfo'
const SERVICES = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection']

/** Tells of `services`, and of itself. */
export function reflectionService(services: ServiceTable): ServiceTable {
  const names = new Set(Object.keys(services).map((path) => path.slice(1, path.lastIndexOf('/'))))
  const listed = [...names, ...SERVICES].toSorted()
  // The descriptors are large: they are loaded for the first who asks.
  const handle = async (stream: RpcStream): Promise<RpcStatus | undefined> => {
    const { reflect } = await import('./reflection-answers.ts')
    return reflect(stream, listed)
  }
  return Object.fromEntries(SERVICES.map((service) => [`/${service}/${METHOD}`, { kind: 'stream', handle }]))
}
