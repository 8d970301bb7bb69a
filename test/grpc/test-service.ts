/**
 * grpc.testing.TestService, which gRPC's interoperability tests call (grpc/grpc: doc/interop-test-descriptions.md), by hand:
 * of its messages only what the tests look at.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { err, ok } from '../../lib/result.ts'
import {
  send,
  type CallContext,
  type RpcStatus,
  type ServiceTable,
  type StreamHandler,
} from '../../node-server/grpc/service.ts'

/** SimpleRequest and StreamingOutputCallRequest, which number their fields alike. */
interface TestRequest {
  responseSize: number
  readonly parameters: { size: number; intervalUs: number }[]
  status: RpcStatus | undefined
}

/** Of the codes, the one that the tests ask for. */
const UNKNOWN = 2

export const TEST_SERVICE: ServiceTable = {
  '/grpc.testing.TestService/EmptyCall': { kind: 'unary', handle: () => ok(new Uint8Array()) },
  '/grpc.testing.TestService/UnaryCall': {
    kind: 'unary',
    handle: (bytes, context) => {
      echoMetadata(context)
      const { responseSize, status } = decodeRequest(bytes)
      return status === undefined ? ok(payload(responseSize)) : err(status)
    },
  },
  '/grpc.testing.TestService/StreamingInputCall': {
    kind: 'stream',
    handle: async (stream) => {
      let sum = 0
      for await (const bytes of stream.requests) sum += decodePayload(bytes)
      await send(
        stream,
        new BinaryWriter()
          .uint32((1 << 3) | WireType.Varint)
          .int32(sum)
          .finish(),
      )
      return undefined
    },
  },
  '/grpc.testing.TestService/StreamingOutputCall': { kind: 'stream', handle: answerEach() },
  '/grpc.testing.TestService/FullDuplexCall': { kind: 'stream', handle: answerEach() },
}

function answerEach(): StreamHandler {
  return async (stream, context) => {
    echoMetadata(context)
    for await (const bytes of stream.requests) {
      const { parameters, status } = decodeRequest(bytes)
      for (const { size, intervalUs } of parameters) {
        if (intervalUs > 0) await sleep(intervalUs / 1000)
        if (!(await send(stream, payload(size)))) return undefined
      }
      if (status !== undefined) return status
    }
    return undefined
  }
}

/** custom_metadata: one value comes back with the head of the answer, one with its status. */
function echoMetadata(context: CallContext): void {
  for (const name of ['x-grpc-test-echo-initial', 'x-grpc-test-echo-trailing-bin'] as const) {
    const value = context.metadata(name)
    if (value === undefined) continue
    if (name.endsWith('-bin')) context.answer?.addTrailer(name, value)
    else context.answer?.addHeader(name, value)
  }
}

function decodeRequest(bytes: Uint8Array): TestRequest {
  const request: TestRequest = { responseSize: 0, parameters: [], status: undefined }
  fields(bytes, (field, reader, wireType) => {
    if (field === 2 && wireType === WireType.Varint) request.responseSize = reader.int32()
    else if (field === 2) request.parameters.push(decodeParameters(reader.bytes()))
    else if (field === 7) request.status = decodeStatus(reader.bytes())
    else reader.skip(wireType)
  })
  return request
}

function decodeParameters(bytes: Uint8Array): { size: number; intervalUs: number } {
  const parameters = { size: 0, intervalUs: 0 }
  fields(bytes, (field, reader, wireType) => {
    if (field === 1) parameters.size = reader.int32()
    else if (field === 2) parameters.intervalUs = reader.int32()
    else reader.skip(wireType)
  })
  return parameters
}

function decodeStatus(bytes: Uint8Array): RpcStatus {
  let message = ''
  fields(bytes, (field, reader, wireType) => {
    if (field === 2) message = reader.string()
    else if (field === 1 && reader.int32() !== UNKNOWN) throw new Error('the tests ask for no other status')
    else if (field > 2) reader.skip(wireType)
  })
  return { code: 'Unknown', message }
}

/** Of a StreamingInputCallRequest, the size of its payload. */
function decodePayload(bytes: Uint8Array): number {
  let size = 0
  fields(bytes, (field, reader, wireType) => {
    if (field === 1) size = bodySize(reader.bytes())
    else reader.skip(wireType)
  })
  return size
}

function bodySize(payload: Uint8Array): number {
  let size = 0
  fields(payload, (field, reader, wireType) => {
    if (field === 2) size = reader.bytes().length
    else reader.skip(wireType)
  })
  return size
}

/** SimpleResponse and StreamingOutputCallResponse: their payload is field 1, its body field 2. */
function payload(size: number): Uint8Array {
  const body = new BinaryWriter()
    .uint32((2 << 3) | WireType.LengthDelimited)
    .bytes(new Uint8Array(size))
    .finish()
  return new BinaryWriter()
    .uint32((1 << 3) | WireType.LengthDelimited)
    .bytes(body)
    .finish()
}

function fields(bytes: Uint8Array, each: (field: number, reader: BinaryReader, wireType: WireType) => void): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    each(field, reader, wireType)
  }
}
