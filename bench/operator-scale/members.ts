/**
 * Members that are not there: each has an address of its own, and one process answers at all of them with what a settled
 * cluster of three would say. Leadership moves and pods restart as the operator asks; nothing is stored.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Server } from 'node:net'
import { z } from 'zod'
import { ADMIN_PATHS, type AdminStatus } from '../../lib/admin-api.ts'
import { addressOf, type Network } from '../../sandbox/kubelet/addresses.ts'

export const REPLICAS = 3
const ADMIN_PORT = 8080
/** Addresses below are a sandbox's nodes'. */
const FIRST_ADDRESS = 256
const SILENT_ORDINAL = REPLICAS - 1
const CONFIG_INDEX = 9
const COMMIT_INDEX = 1000

const transferRequest = z.object({ operationId: z.string(), memberId: z.string() })

interface SimulatedCluster {
  readonly name: string
  readonly clusterId: string
  leader: number
  term: number
  /** Its last member takes requests and never answers. */
  hasSilentMember: boolean
}

interface Place {
  readonly cluster: SimulatedCluster
  readonly ordinal: number
}

export class SimulatedMembers {
  readonly #network: Network
  readonly #places = new Map<string, Place>()
  readonly #addresses = new Map<string, string>()
  readonly #listeners: Server[] = []
  readonly #http = createServer((request, response) => void this.#serve(request, response))

  constructor(network: Network) {
    this.#network = network
  }

  /** Listens at the addresses of a new cluster; its ID, which the status of its RaftCluster must carry. */
  async add(name: string): Promise<string> {
    const clusterId = (0x1000 + this.#places.size).toString(16)
    const cluster: SimulatedCluster = { name, clusterId, leader: 0, term: 2, hasSilentMember: false }
    for (let ordinal = 0; ordinal < REPLICAS; ordinal++) {
      const address = addressOf(this.#network, FIRST_ADDRESS + this.#places.size)
      this.#places.set(address, { cluster, ordinal })
      this.#addresses.set(`${name}-${ordinal}`, address)
      await this.#listen(address)
    }
    return clusterId
  }

  /** The name of the pod that is silent from now on. */
  silence(name: string): string {
    const pod = `${name}-${SILENT_ORDINAL}`
    const place = this.#places.get(this.#addresses.get(pod) ?? '')
    if (place === undefined) throw new Error(`there is no ${pod}`)
    place.cluster.hasSilentMember = true
    return pod
  }

  addressOf(pod: string): string | undefined {
    return this.#addresses.get(pod)
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) listener.close()
    this.#http.closeAllConnections()
  }

  async #listen(address: string): Promise<void> {
    const listener = createTcpServer((socket) => this.#http.emit('connection', socket))
    this.#listeners.push(listener)
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject)
      listener.listen(ADMIN_PORT, address, resolve)
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const place = this.#places.get(request.socket.localAddress ?? '')
    if (place?.cluster.hasSilentMember === true && place.ordinal === SILENT_ORDINAL) return
    const answer = place && (await this.#answer(place, request))
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { code: 'NotFound', message: 'no such thing' }))
  }

  async #answer({ cluster, ordinal }: Place, request: IncomingMessage): Promise<unknown> {
    if (request.url === ADMIN_PATHS.status) return statusOf(cluster, ordinal)
    if (request.url !== ADMIN_PATHS.leaderTransfer) return undefined
    const { operationId, memberId } = transferRequest.parse(JSON.parse(await textOf(request)))
    const leader = ordinals().find((ordinal) => memberIdOf(ordinal) === memberId)
    if (leader === undefined) return undefined
    if (cluster.leader !== leader) cluster.term++
    cluster.leader = leader
    return { operationId, leader: memberId, term: cluster.term }
  }
}

function ordinals(): readonly number[] {
  return Array.from({ length: REPLICAS }, (_, ordinal) => ordinal)
}

function memberIdOf(ordinal: number): string {
  return (0xa0 + ordinal).toString(16)
}

function statusOf({ name, clusterId, leader, term, hasSilentMember }: SimulatedCluster, ordinal: number): AdminStatus {
  const isActive = (id: string): boolean => !hasSilentMember || id !== memberIdOf(SILENT_ORDINAL)
  const voters = ordinals().map(memberIdOf)
  const peers = voters.filter((id) => id !== memberIdOf(leader))
  return {
    clusterId,
    memberId: memberIdOf(ordinal),
    name: `${name}-${ordinal}`,
    role: ordinal === leader ? 'leader' : 'follower',
    term,
    leader: memberIdOf(leader),
    commitIndex: COMMIT_INDEX,
    appliedIndex: COMMIT_INDEX,
    lastIndex: COMMIT_INDEX,
    lastTerm: term,
    configIndex: CONFIG_INDEX,
    voters,
    votersOutgoing: [],
    learners: [],
    members: ordinals().map((each) => ({
      id: memberIdOf(each),
      name: `${name}-${each}`,
      peerURLs: [`http://${name}-${each}:2380`],
      clientURLs: [`http://${name}-${each}:2379`],
      isLearner: false,
    })),
    isChangePending: false,
    peers:
      ordinal === leader
        ? peers.map((id) => ({ id, matchIndex: COMMIT_INDEX, lag: 0, state: 'replicate', isActive: isActive(id) }))
        : [],
    configHistory: [{ index: CONFIG_INDEX, voters, votersOutgoing: [], learners: [], operationId: '' }],
    version: '0.1.0',
    etcdVersion: '3.7.0',
    dbSizeBytes: 1 << 20,
    revision: COMMIT_INDEX,
    alarms: [],
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
