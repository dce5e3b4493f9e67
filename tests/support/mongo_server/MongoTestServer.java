/*
 * A MongoDB-compatible server for the metadata-store contract tests, for hosts without mongod.
 *
 *   build.sh [FOLDER]                                  needs a JDK 17+ and Maven; default FOLDER: .build
 *   FOLDER/mongo-test-server [--port N] [--dir DIR]    foreground; prints "ready mongodb://127.0.0.1:PORT"
 *
 * Port 0 (the default) picks a free port. Data is kept in DIR, or only in memory without --dir.
 * It listens on 127.0.0.1 only, makes no connections of its own and stops on SIGTERM (exit status 143).
 *
 * It is mongo-java-server 1.46.0 with its H2 storage. FerretDB 1.24 with SQLite was measured too, and
 * rejected. Eight clients each doing 500 read + replace_one({_id, revision}) increments of one document:
 *
 *                                            this server       FerretDB
 *   final counter (4000 is right)            4000              623 (lost updates)
 *   successful replacements per second       about 500-800     -
 *   same with update_one $inc                4000              512
 *   replace_one onto a taken unique value    DuplicateKeyError error without a code
 *   which index collided                     in the message    not told
 *   bulk_write of 101 or more upserts        works             hangs
 *
 * Not like MongoDB:
 *   - DuplicateKeyError has no keyPattern; its message has MongoDB's form,
 *     "E11000 duplicate key error collection: DB.COLL index: NAME dup key: { FIELD: VALUE }".
 *   - A bulk of updates goes on after an error even when ordered, and after an insert error
 *     nInserted is the number sent.
 *   - No sessions, transactions or retryable writes (a standalone mongod has no transactions or
 *     retryable writes either), and no "hello" command (drivers use "isMaster").
 *   - Only equality or $in on exactly the field(s) of a unique index or _id is a lookup; everything
 *     else scans the collection. Keep test collections under some ten thousand documents.
 *   - $inc past 64 bits wraps around; partialFilterExpression is ignored.
 *   - Reading a dropped database makes its (empty) name appear in the list again.
 *   - Write and read concerns are accepted and ignored: there is one node, and commands run one at a time.
 */
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javassist.CannotCompileException;
import javassist.ClassPool;
import javassist.CtClass;
import javassist.expr.ExprEditor;
import javassist.expr.MethodCall;
import org.h2.mvstore.MVStore;

public class MongoTestServer {

    public static void main(String[] args) throws Exception {
        int port = 0;
        Path dir = null;
        for (int i = 0; i < args.length; i += 2) {
            String value = i + 1 < args.length ? args[i + 1] : "";
            if (args[i].equals("--port") && value.matches("\\d{1,5}")) {
                port = Integer.parseInt(value);
            } else if (args[i].equals("--dir") && !value.isEmpty()) {
                dir = Path.of(value);
            } else {
                System.err.println("usage: mongo-test-server [--port N] [--dir DIR]");
                System.exit(2);
            }
        }

        compareStringsByCodePoint();
        MongoServer server = null;
        try {
            server = new MongoServer(new Backend(openStore(dir)));
            // One worker thread: commands run strictly one after another.
            server.bind(new InetSocketAddress("127.0.0.1", port), 1, 1);
        } catch (Exception e) {  // DIR or the port is in use
            System.err.println("mongo-test-server: cannot start: " + e);
            System.exit(1);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        System.out.println("ready " + server.getConnectionString());
        Thread.currentThread().join();
    }

    private static MVStore openStore(Path dir) throws IOException {
        MVStore.Builder builder = new MVStore.Builder().autoCommitDisabled().cacheSize(128);
        if (dir != null) {
            builder.fileName(Files.createDirectories(dir).resolve("mongo.mv").toString());
        }
        MVStore store = builder.open();
        store.setVersionsToKeep(0);
        store.setRetentionTime(0);  // reuse file space at once
        return store;
    }

    /** The library orders strings by UTF-16 unit; MongoDB orders them by UTF-8 byte. */
    private static void compareStringsByCodePoint() throws Exception {
        CtClass comparator = ClassPool.getDefault().get("de.bwaldvogel.mongo.backend.ValueComparator");
        comparator.getDeclaredMethod("doCompare").instrument(new ExprEditor() {
            @Override
            public void edit(MethodCall call) throws CannotCompileException {
                if (call.getClassName().equals("java.lang.String") && call.getMethodName().equals("compareTo")) {
                    String utf8 = ".getBytes(java.nio.charset.StandardCharsets.UTF_8)";
                    call.replace("$_ = java.util.Arrays.compareUnsigned($0" + utf8 + ", $1" + utf8 + ");");
                }
            }
        });
        comparator.toClass(Index.class);  // Index: any class of the same package
    }

    private static class Backend extends H2Backend {
        Backend(MVStore store) {
            super(store);
            version(new MongoVersion() {
                @Override
                public List<Integer> getVersionArray() {
                    return List.of(4, 4, 0);
                }

                @Override
                public int getWireVersion() {
                    return 9;  // the library offers at most 7, which current drivers refuse
                }
            });
        }

        /** Every acknowledged write is in the file before its reply: it survives SIGKILL. */
        @Override
        public Document handleMessage(MongoMessage message) {
            try {
                return super.handleMessage(message);
            } finally {
                commit();
            }
        }
    }
}
