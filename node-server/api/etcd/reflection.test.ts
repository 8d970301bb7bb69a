import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import type { CallContext, RpcStatus, RpcStream, ServiceTable } from '../../grpc/service.ts'
import {
  ServerReflectionRequest,
  ServerReflectionResponse,
  type ServerReflectionResponse as Response,
} from '../../proto/generated/reflection/v1.ts'
import { reflectionService } from './reflection.ts'

type Asked = NonNullable<ServerReflectionRequest['messageRequest']>

const SERVED: ServiceTable = {
  '/etcdserverpb.KV/Range': { kind: 'unary', handle: () => Promise.reject(new Error('not called')) },
  '/etcdserverpb.KV/Put': { kind: 'unary', handle: () => Promise.reject(new Error('not called')) },
  '/v3lockpb.Lock/Lock': { kind: 'unary', handle: () => Promise.reject(new Error('not called')) },
}
const CONTEXT: CallContext = { metadata: () => undefined, signal: new AbortController().signal, peer: '' }

/** Asks one after the other on one stream. */
async function ask(
  requests: readonly (Asked | undefined)[],
  version = 'v1',
): Promise<{ readonly answers: Response[]; readonly status: RpcStatus | undefined }> {
  const method = reflectionService(SERVED)[`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`]
  assert.ok(method?.kind === 'stream')
  const answers: Response[] = []
  const stream: RpcStream = {
    write: (responses) => {
      for (const parts of responses) answers.push(ServerReflectionResponse.decode(Buffer.concat(parts)))
      return true
    },
    drained: () => Promise.resolve(true),
    requests: (async function* () {
      for (const messageRequest of requests) {
        yield ServerReflectionRequest.encode({ host: 'h', messageRequest }).finish()
      }
    })(),
  }
  return { status: await method.handle(stream, CONTEXT), answers }
}

function filesOf(answer: Response | undefined): string[] {
  assert.ok(answer?.messageResponse?.$case === 'fileDescriptorResponse', JSON.stringify(answer?.messageResponse))
  return answer.messageResponse.value.fileDescriptorProto.map(
    (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
  )
}

test('both versions list what is served, and reflection itself', async () => {
  for (const version of ['v1', 'v1alpha']) {
    const { answers, status } = await ask([{ $case: 'listServices', value: '*' }], version)
    assert.equal(status, undefined)
    const [answer] = answers
    assert.deepEqual([answer?.validHost, answer?.originalRequest?.host], ['h', 'h'])
    assert.deepEqual(answer?.messageResponse, {
      $case: 'listServicesResponse',
      value: {
        service: [
          { name: 'etcdserverpb.KV' },
          { name: 'grpc.reflection.v1.ServerReflection' },
          { name: 'grpc.reflection.v1alpha.ServerReflection' },
          { name: 'v3lockpb.Lock' },
        ],
      },
    })
  }
})

test('a symbol brings its file and what that imports; a stream does not get an import twice', async () => {
  const { answers } = await ask([
    { $case: 'fileContainingSymbol', value: 'v3electionpb.Election.Campaign' },
    { $case: 'fileContainingSymbol', value: 'etcdserverpb.RangeRequest.SortOrder' },
    { $case: 'fileByFilename', value: 'etcd/kv.proto' },
  ])
  assert.deepEqual(filesOf(answers[0]).toSorted(), [
    'etcd/auth.proto',
    'etcd/election.proto',
    'etcd/kv.proto',
    'etcd/rpc.proto',
  ])
  assert.deepEqual(filesOf(answers[1]), ['etcd/rpc.proto'])
  assert.deepEqual(filesOf(answers[2]), ['etcd/kv.proto'])
})

test('the descriptors are whole, and show key-values where the protos hold their bytes', async () => {
  const { answers } = await ask([{ $case: 'fileContainingSymbol', value: 'v3electionpb.Election' }])
  const response = answers[0]?.messageResponse
  assert.ok(response?.$case === 'fileDescriptorResponse')
  const file = response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.toReversed() }))
  const fields = {
    'mvccpb.Event': ['kv', 'prev_kv'],
    'v3electionpb.LeaderResponse': ['kv'],
    'etcdserverpb.RangeResponse': ['kvs'],
  }
  for (const [type, names] of Object.entries(fields)) {
    for (const name of names) {
      const field = registry.getMessage(type)?.fields.find((candidate) => candidate.name === name)
      assert.equal(field?.message?.typeName, 'mvccpb.KeyValue', `${type}.${name}`)
      assert.equal(field.oneof, undefined)
    }
  }
})

test('what is not there is NotFound, and the stream goes on', async () => {
  const { answers, status } = await ask([
    { $case: 'fileByFilename', value: 'nope.proto' },
    { $case: 'fileContainingSymbol', value: 'etcdserverpb.KV.Nope' },
    { $case: 'fileContainingSymbol', value: '' },
    { $case: 'fileContainingExtension', value: { containingType: 'mvccpb.Event', extensionNumber: 5 } },
    { $case: 'allExtensionNumbersOfType', value: 'nope' },
    { $case: 'allExtensionNumbersOfType', value: 'mvccpb.Event' },
  ])
  const notFound = { $case: 'errorResponse', value: { errorCode: 5, errorMessage: 'not found' } }
  const none = { $case: 'allExtensionNumbersResponse', value: { baseTypeName: 'mvccpb.Event', extensionNumber: [] } }
  assert.deepEqual(
    answers.map(({ messageResponse }) => messageResponse),
    [notFound, notFound, notFound, notFound, notFound, none],
  )
  assert.equal(status, undefined)
})

test('a request that asks nothing ends the stream', async () => {
  const { answers, status } = await ask([undefined, { $case: 'listServices', value: '' }])
  assert.deepEqual([answers.length, status?.code], [0, 'InvalidArgument'])
})
