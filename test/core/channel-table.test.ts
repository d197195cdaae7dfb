import test from 'ava';
import fc from 'fast-check';
import { ChannelTable } from '../../core/channel-table.js';
import { channelOf, createJobGraph, isConnected, vertexOf } from '../../core/job-graph.js';
import { sampleJob } from '../api/sample-job.js';

test('property: every channel of every edge is found by its number, and no other', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 16 }), (parallelism) => {
      const graph = createJobGraph(sampleJob.build({}).graph, parallelism);
      const table = new ChannelTable(graph);
      const unseen = new Set(Array.from({ length: table.channelCount }, (_, channel) => channel));
      for (const edge of graph.edges) {
        const from = vertexOf(graph, edge.fromVertex).parallelism;
        const to = vertexOf(graph, edge.toVertex).parallelism;
        for (let fromSubtask = 0; fromSubtask < from; fromSubtask++) {
          for (let toSubtask = 0; toSubtask < to; toSubtask++) {
            const channel = channelOf(edge, to, fromSubtask, toSubtask);
            t.true(unseen.delete(channel));
            t.deepEqual(
              table.endsOf(channel),
              isConnected(edge, fromSubtask, toSubtask)
                ? { edge, fromSubtask, toSubtask }
                : undefined,
            );
          }
        }
      }
      t.is(unseen.size, 0);
      t.is(table.endsOf(table.channelCount), undefined);
      t.is(table.endsOf(-1), undefined);
    }),
  );
});
