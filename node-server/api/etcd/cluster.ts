/** etcd's Cluster service. The changes are unfenced, as etcd has them; the admin API is what has fences. */
import { MemberId } from '../../../lib/ids.ts'
import { err, ok } from '../../../lib/result.ts'
import type { CallContext, ServiceTable } from '../../grpc/service.ts'
import type { Member, MemberChange, NodePort } from '../../node/ports.ts'
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
  type Member as WireMember,
  type ResponseHeader,
} from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import { unary, type Answer } from './method.ts'
import { header } from './responses.ts'

interface Changed {
  readonly header: ResponseHeader
  readonly member: WireMember | undefined
  readonly members: WireMember[]
}

export function clusterService(gate: Gate): ServiceTable {
  const { node } = gate
  return {
    '/etcdserverpb.Cluster/MemberList': unary(gate, 'handler', MemberListRequest, (request, { context }) =>
      list(gate, request, context),
    ),
    '/etcdserverpb.Cluster/MemberAdd': unary(gate, 'admin', MemberAddRequest, ({ peerURLs, isLearner }) =>
      areMemberURLs(peerURLs)
        ? change(node, { kind: 'add', peerURLs, isLearner }, (changed) => MemberAddResponse.encode(changed).finish())
        : err(statusOf('bad-member-urls')),
    ),
    '/etcdserverpb.Cluster/MemberRemove': unary(gate, 'admin', MemberRemoveRequest, ({ ID }) =>
      change(node, { kind: 'remove', memberId: MemberId(ID) }, (changed) =>
        MemberRemoveResponse.encode(changed).finish(),
      ),
    ),
    '/etcdserverpb.Cluster/MemberUpdate': unary(gate, 'admin', MemberUpdateRequest, ({ ID, peerURLs }) =>
      // Of a member that is not there, the change tells.
      areMemberURLs(peerURLs) || !node.members().some(({ id }) => id === ID)
        ? change(node, { kind: 'update', memberId: MemberId(ID), peerURLs }, (changed) =>
            MemberUpdateResponse.encode(changed).finish(),
          )
        : err(statusOf('bad-member-urls')),
    ),
    '/etcdserverpb.Cluster/MemberPromote': unary(gate, 'admin', MemberPromoteRequest, ({ ID }) =>
      change(node, { kind: 'promote', memberId: MemberId(ID) }, (changed) =>
        MemberPromoteResponse.encode(changed).finish(),
      ),
    ),
  }
}

async function list(gate: Gate, { linearizable }: MemberListRequest, context: CallContext): Promise<Answer> {
  const { node } = gate
  if (linearizable) {
    const barrier = await node.linearizableBarrier()
    if (!barrier.ok) return err(statusOf(barrier.error))
  }
  const admitted = await gate.admit('known', context)
  if (!admitted.ok) return admitted
  const members = node.members().map(wireMember)
  return ok(MemberListResponse.encode({ header: headerOf(node), members }).finish())
}

async function change(
  node: NodePort,
  requested: MemberChange,
  encode: (changed: Changed) => Uint8Array,
): Promise<Answer> {
  const outcome = await node.changeMember(requested)
  if (!outcome.ok) return err(statusOf(outcome.error))
  const { member, members } = outcome.value
  return ok(
    encode({
      header: headerOf(node),
      member: member === undefined ? undefined : wireMember(member),
      members: members.map(wireMember),
    }),
  )
}

/** As etcd fills it here: without a revision, for members are no keys. */
function headerOf(node: NodePort): ResponseHeader {
  return { ...header(node), revision: 0n }
}

function wireMember(member: Member): WireMember {
  return {
    ID: member.id,
    name: member.name,
    peerURLs: [...member.peerURLs],
    clientURLs: [...member.clientURLs],
    isLearner: member.isLearner,
  }
}

const TCP_URL = /^https?:\/\/(\[[0-9a-fA-F:.]+\]|[^/:@?#\s]+):\d{1,5}$/
const UNIX_URL = /^unixs?:\/\/[^\s?#]+$/

/** As etcd has it: at least one, each with a scheme it knows, a host and a port, and no path; or the file of a socket. */
function areMemberURLs(urls: readonly string[]): boolean {
  return urls.length > 0 && urls.every((url) => TCP_URL.test(url) || UNIX_URL.test(url))
}
