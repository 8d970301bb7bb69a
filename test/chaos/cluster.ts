/** Three members as processes, each behind its proxy, on a disk and a clock that obey; formed and changed by the admin API. */
import assert from 'node:assert/strict'
import { ADMIN_PATHS, type AdminStatus, type MembershipRequest } from '../../lib/admin-api.ts'
import { eventually, type AdminAnswer } from '../members/member-process.ts'
import { Network } from './network.ts'
import { Place } from './place.ts'

const CLUSTER_ID = 'c4a05'
/** For one step of a membership change under faults. */
const CHANGE_TIMEOUT_MS = 30_000

export class Cluster {
  readonly network: Network
  readonly places: readonly Place[]
  #operations = 0
  /** A stopped process does not notice that nobody is left to end it. */
  readonly #endWithUs = (): void => {
    for (const place of this.places) void place.kill()
  }

  private constructor(network: Network, places: readonly Place[]) {
    this.network = network
    this.places = places
    process.once('exit', this.#endWithUs)
  }

  static async open(count: number, directory: string, onProblem: (problem: string) => void): Promise<Cluster> {
    const network = new Network(count)
    const places: Place[] = []
    for (let index = 0; index < count; index++) places.push(await Place.open(index, directory, network, onProblem))
    return new Cluster(network, places)
  }

  /** The first is told to be a cluster, the others are added to it as the operator does it. */
  async form(): Promise<void> {
    for (const place of this.places) place.start()
    const [first, ...others] = this.places
    assert.ok(first !== undefined)
    await Promise.all(this.places.map(({ member }) => member.answers('/livez')))
    const { code, body } = await first.member.post(ADMIN_PATHS.bootstrap, {
      operationId: 'form',
      clusterId: CLUSTER_ID,
      expectedConfigIndex: 0,
      member: asMember(first),
    })
    assert.equal(code, 200, JSON.stringify(body))
    this.#settle(first, body.memberId)
    await first.member.isReady()
    for (const place of others) await this.#add(place)
    await Promise.all(this.places.map(({ member }) => member.isReady()))
  }

  /** In each case a place, also when there is no leader. */
  async find(who: 'leader' | 'follower' | 'anyone', chosen: number): Promise<Place> {
    const leader = await this.leader()
    const candidates =
      who === 'anyone' || leader === undefined
        ? this.places
        : this.places.filter((place) => (place === leader) === (who === 'leader'))
    const place = candidates[chosen % candidates.length]
    assert.ok(place !== undefined)
    return place
  }

  /** The one of the highest term among those who say so. */
  async leader(): Promise<Place | undefined> {
    const statuses = await Promise.all(this.places.map((place) => place.status()))
    const terms = statuses.map((status) => (status?.role === 'leader' ? status.term : -1))
    const highest = Math.max(...terms)
    return highest < 0 ? undefined : this.places[terms.indexOf(highest)]
  }

  /** Ends the member there, has the cluster remove it, and adds another one in its place, with nothing on its disk. */
  async replace(place: Place): Promise<void> {
    await place.kill()
    const known = await eventually(
      'another member leads',
      async () => (await this.#leaderBeside(place)).status.members,
      CHANGE_TIMEOUT_MS,
    )
    const memberId = known.find(({ name }) => name === place.member.name)?.id
    assert.ok(memberId !== undefined, `${place.member.name} is a member`)
    await this.#change(place, (expectedConfigIndex, operationId) => {
      return { kind: 'remove', operationId, expectedConfigIndex, memberId }
    })
    await place.empty()
    place.start()
    await place.member.answers('/livez')
    await this.#add(place)
  }

  async transferLeader(to: Place): Promise<boolean> {
    const leader = await this.leader()
    const [status, target] = [await leader?.status(), await to.status()]
    if (leader === undefined || status === undefined || target === undefined) return false
    const operationId = this.#nextOperation()
    const request = { operationId, expectedConfigIndex: status.configIndex, memberId: target.memberId }
    const answer = await leader.member.post(ADMIN_PATHS.leaderTransfer, request).catch(() => undefined)
    return answer?.code === 200
  }

  async close(): Promise<void> {
    await Promise.all(this.places.map((place) => place.close()))
    process.off('exit', this.#endWithUs)
    await this.network.close()
  }

  async #add(place: Place): Promise<void> {
    const { memberId } = await this.#change(place, (expectedConfigIndex, operationId) => {
      return { kind: 'add-learner', operationId, expectedConfigIndex, member: asMember(place) }
    })
    assert.ok(memberId !== undefined)
    this.#settle(place, memberId)
    await eventually(`${place.member.name} joins`, () => this.#join(place, memberId), CHANGE_TIMEOUT_MS)
    await this.#change(place, (expectedConfigIndex, operationId) => {
      return { kind: 'promote', operationId, expectedConfigIndex, memberId }
    })
  }

  async #join(place: Place, memberId: string): Promise<void> {
    const asked = await this.#leaderBeside(place)
    const { configIndex, members } = asked.status
    const request = { operationId: `join ${memberId}`, clusterId: CLUSTER_ID, memberId }
    const joined = await place.member.post(ADMIN_PATHS.join, { ...request, expectedConfigIndex: configIndex, members })
    assert.equal(joined.code, 200, JSON.stringify(joined.body))
  }

  /** One intent, tried until it is carried out: what a caller of the admin API is to do. */
  #change(
    about: Place,
    request: (expectedConfigIndex: number, operationId: string) => MembershipRequest,
  ): Promise<AdminAnswer['body']> {
    const operationId = this.#nextOperation()
    return eventually(
      operationId,
      async () => {
        const { place, status } = await this.#leaderBeside(about)
        const body = request(status.configIndex, operationId)
        const answer = await place.member.post(ADMIN_PATHS.membership, body)
        assert.equal(answer.code, 200, `${body.kind} ${about.member.name}: ${JSON.stringify(answer.body)}`)
        return answer.body
      },
      CHANGE_TIMEOUT_MS,
    )
  }

  async #leaderBeside(other: Place): Promise<{ readonly place: Place; readonly status: AdminStatus }> {
    const place = await this.leader()
    const status = await place?.status()
    assert.ok(place !== undefined && place !== other && status !== undefined, 'another member leads')
    return { place, status }
  }

  #settle(place: Place, memberId: string | undefined): void {
    this.network.places.set(BigInt(`0x${memberId ?? ''}`), place.index)
  }

  #nextOperation(): string {
    this.#operations += 1
    return `chaos-${this.#operations}`
  }
}

function asMember({ member }: Place): { readonly name: string; readonly peerURLs: readonly string[] } {
  return { name: member.name, peerURLs: [member.peerURL] }
}
