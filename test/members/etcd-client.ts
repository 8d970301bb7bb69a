/** The etcd API as a client program calls it, with the messages' own codecs. */
import { Client, credentials, Metadata, type ChannelCredentials, type ClientDuplexStream } from '@grpc/grpc-js'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import {
  HashKVRequest,
  HashKVResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from '../../node-server/proto/generated/etcd/rpc.ts'

interface Encoder<Message> {
  fromPartial(part: Partial<Message>): Message
  encode(message: Message): { finish(): Uint8Array }
}
interface Decoder<Message> {
  decode(bytes: Uint8Array): Message
}

const CALL_TIMEOUT_MS = 10_000
const same = (bytes: Buffer): Buffer => bytes

export class EtcdClient {
  readonly #client: Client

  constructor(address: string, channel: ChannelCredentials = credentials.createInsecure()) {
    this.#client = new Client(address, channel, {
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
    })
  }

  /** The bytes of the answer. Rejects with grpc-js' ServiceError (`code`, `details`). */
  callBytes(path: string, request: Uint8Array, timeoutMs = CALL_TIMEOUT_MS, token?: string): Promise<Buffer> {
    const options = { deadline: Date.now() + timeoutMs }
    const metadata = new Metadata()
    if (token !== undefined) metadata.set('token', token)
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(path, same, same, Buffer.from(request), metadata, options, (error, answer) =>
        error === null ? resolve(answer ?? Buffer.alloc(0)) : reject(error),
      )
    })
  }

  /** All answers of a server stream. */
  async stream(path: string, request: Uint8Array): Promise<readonly Buffer[]> {
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS }
    const call = this.#client.makeServerStreamRequest(path, same, same, Buffer.from(request), new Metadata(), options)
    const answers: Buffer[] = []
    for await (const answer of call) answers.push(answer as Buffer)
    return answers
  }

  /** Revision of the put. */
  async put(key: string, value: string, lease = 0n): Promise<bigint> {
    const request = { key: Buffer.from(key), value: Buffer.from(value), lease }
    const answer = await this.#call('/etcdserverpb.KV/Put', PutRequest, PutResponse, request)
    return answer.header?.revision ?? 0n
  }

  /** Linearizable. At the revision, 0n meaning the current one. */
  async get(key: string, revision = 0n): Promise<string | undefined> {
    const request = { key: Buffer.from(key), revision }
    const answer = await this.#call('/etcdserverpb.KV/Range', RangeRequest, RangeResponse, request)
    const first = answer.kvs[0]
    return first === undefined ? undefined : KeyValue.decode(first).value.toString('utf8')
  }

  /** Every key with its value and mod revision, as this member has it (serializable) or as the cluster has it. */
  async all(read: 'linearizable' | 'serializable' = 'linearizable'): Promise<Map<string, string>> {
    const zero = Buffer.of(0)
    const request = { key: zero, rangeEnd: zero, serializable: read === 'serializable' }
    const answer = await this.#call('/etcdserverpb.KV/Range', RangeRequest, RangeResponse, request)
    const kvs = answer.kvs.map((bytes) => KeyValue.decode(bytes))
    return new Map(kvs.map((kv) => [kv.key.toString('utf8'), `${kv.value.toString('utf8')}@${kv.modRevision}`]))
  }

  addMember(peerURL: string, isLearner = false): Promise<MemberAddResponse> {
    const request = { peerURLs: [peerURL], isLearner }
    return this.#call('/etcdserverpb.Cluster/MemberAdd', MemberAddRequest, MemberAddResponse, request)
  }

  removeMember(id: bigint): Promise<MemberRemoveResponse> {
    return this.#call('/etcdserverpb.Cluster/MemberRemove', MemberRemoveRequest, MemberRemoveResponse, { ID: id })
  }

  members(): Promise<MemberListResponse> {
    return this.#call('/etcdserverpb.Cluster/MemberList', MemberListRequest, MemberListResponse, { linearizable: true })
  }

  /** The TTL that counts. */
  async grantLease(id: bigint, ttlSeconds: number): Promise<number> {
    const request = { ID: id, TTL: BigInt(ttlSeconds) }
    const answer = await this.#call('/etcdserverpb.Lease/LeaseGrant', LeaseGrantRequest, LeaseGrantResponse, request)
    return Number(answer.TTL)
  }

  /** What is left in whole seconds, -1 for a lease that is not there. */
  async leaseSecondsLeft(id: bigint): Promise<number> {
    const path = '/etcdserverpb.Lease/LeaseTimeToLive'
    const answer = await this.#call(path, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, { ID: id, keys: true })
    return Number(answer.TTL)
  }

  /** The TTL after one renewal, 0 for a lease that is not there. */
  renewLease(id: bigint): Promise<number> {
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS }
    const stream = this.#client.makeBidiStreamRequest('/etcdserverpb.Lease/LeaseKeepAlive', same, same, options)
    return new Promise((resolve, reject) => {
      stream.once('error', reject)
      stream.once('data', (bytes: Buffer) => {
        resolve(Number(LeaseKeepAliveResponse.decode(bytes).TTL))
        stream.end()
      })
      stream.write(Buffer.from(LeaseKeepAliveRequest.encode({ ID: id }).finish()))
    })
  }

  /** What a watch of the key from that revision on is told, once it has been told that it is open. */
  async watchOnce(key: string, startRevision: bigint): Promise<WatchResponse> {
    const deadline = Date.now() + CALL_TIMEOUT_MS
    const stream = this.#client.makeBidiStreamRequest('/etcdserverpb.Watch/Watch', same, same, { deadline })
    const value = WatchCreateRequest.fromPartial({ key: Buffer.from(key), startRevision })
    stream.write(Buffer.from(WatchRequest.encode({ requestUnion: { $case: 'createRequest', value } }).finish()))
    try {
      for await (const bytes of stream) {
        const answer = WatchResponse.decode(bytes as Buffer)
        if (!answer.created || answer.canceled) return answer
      }
      throw new Error('the watch ended without a word')
    } finally {
      stream.cancel()
    }
  }

  /** A stream of watch requests and answers, without a deadline; it is the caller's to end. */
  openWatch(): ClientDuplexStream<Buffer, Buffer> {
    return this.#client.makeBidiStreamRequest('/etcdserverpb.Watch/Watch', same, same)
  }

  async hashKV(revision: bigint, timeoutMs: number): Promise<HashKVResponse> {
    const request = HashKVRequest.encode({ revision }).finish()
    return HashKVResponse.decode(await this.callBytes('/etcdserverpb.Maintenance/HashKV', request, timeoutMs))
  }

  close(): void {
    this.#client.close()
  }

  async #call<Request, Answer>(
    path: string,
    requestType: Encoder<Request>,
    answerType: Decoder<Answer>,
    request: Partial<Request>,
  ): Promise<Answer> {
    const bytes = requestType.encode(requestType.fromPartial(request)).finish()
    return answerType.decode(await this.callBytes(path, bytes))
  }
}
