/** What reflection answers, from the descriptors of all that is served. */
import { toBinary, type DescFile } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { unreachable } from '../../../lib/assert.ts'
import { send, type RpcStatus, type RpcStream } from '../../grpc/service.ts'
import { REGISTRY } from '../../proto/descriptors.ts'
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
  type ServerReflectionResponse as Response,
} from '../../proto/generated/reflection/v1.ts'
import { decode } from './method.ts'

/** Of gRPC's status codes, NotFound. */
const NOT_FOUND = 5

type Answer = Response['messageResponse']

/** `services`: the names of all. */
export async function reflect(stream: RpcStream, services: readonly string[]): Promise<RpcStatus | undefined> {
  const sent = new Set<string>()
  for await (const bytes of stream.requests) {
    const request = decode(ServerReflectionRequest, bytes)
    if (!request.ok) return request.error
    const messageResponse = answer(request.value, services, sent)
    if (messageResponse === undefined) return { code: 'InvalidArgument', message: 'invalid MessageRequest: <nil>' }
    const response = { validHost: request.value.host, originalRequest: request.value, messageResponse }
    if (!(await send(stream, ServerReflectionResponse.encode(response).finish()))) return undefined
  }
  return undefined
}

/** Undefined for a request that asks nothing. `sent`: names of the files that this client has. */
function answer({ messageRequest }: ServerReflectionRequest, services: readonly string[], sent: Set<string>): Answer {
  if (messageRequest === undefined) return undefined
  switch (messageRequest.$case) {
    case 'fileByFilename':
      return file(REGISTRY.getFile(messageRequest.value), sent)
    case 'fileContainingSymbol':
      return file(fileOf(messageRequest.value), sent)
    // None of the messages has extensions.
    case 'fileContainingExtension':
      return file(undefined, sent)
    case 'allExtensionNumbersOfType': {
      const baseTypeName = messageRequest.value
      if (fileOf(baseTypeName) === undefined) return file(undefined, sent)
      return { $case: 'allExtensionNumbersResponse', value: { baseTypeName, extensionNumber: [] } }
    }
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } }
    default:
      return unreachable(messageRequest)
  }
}

/** Of a service, a method or a type. */
function fileOf(symbol: string): DescFile | undefined {
  const found = REGISTRY.get(symbol)
  if (found !== undefined) return found.file
  const dot = symbol.lastIndexOf('.')
  const service = dot < 0 ? undefined : REGISTRY.getService(symbol.slice(0, dot))
  const name = symbol.slice(dot + 1)
  return service?.methods.some((method) => method.name === name) === true ? service.file : undefined
}

/** With all that it imports and the client does not have; the file itself always. */
function file(root: DescFile | undefined, sent: Set<string>): Answer {
  if (root === undefined) {
    return { $case: 'errorResponse', value: { errorCode: NOT_FOUND, errorMessage: 'not found' } }
  }
  const files = new Set([root])
  // A set that grows while it is walked: the walk reaches what was added.
  for (const { dependencies } of files) for (const dependency of dependencies) files.add(dependency)
  const unsent = [...files].filter(({ proto }) => proto.name === root.proto.name || !sent.has(proto.name))
  for (const { proto } of unsent) sent.add(proto.name)
  const fileDescriptorProto = unsent.map(({ proto }) => Buffer.from(toBinary(FileDescriptorProtoSchema, proto)))
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } }
}
