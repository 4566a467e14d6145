// The scene of most tests of packets: two nodes, two pods on one and one on the other, and the world behind the first node.
import { connectNodes, createTestNode, type TestNode, type TestPod } from './node.ts';
import { connectWorld, type World } from './world.ts';

export interface TwoNodes extends Disposable {
  readonly node: TestNode;
  readonly remote: TestNode;
  readonly world: World;
  readonly pods: { readonly client: TestPod; readonly server: TestPod; readonly far: TestPod };
}

export function createTwoNodes(): TwoNodes {
  using stack = new DisposableStack();
  const [node, remote] = [stack.use(createTestNode(1)), stack.use(createTestNode(2))];
  connectNodes(node, remote);
  const world = stack.use(connectWorld(node));
  const pods = { client: node.addPod(10, 1000), server: node.addPod(11, 1001), far: remote.addPod(10, 1002) };
  const owned = stack.move();
  return { node, remote, world, pods, [Symbol.dispose]: () => owned.dispose() };
}
