// SPDX-License-Identifier: Apache-2.0
// HAPI FHIR's JPA server, R4, over H2 in memory: what a hospital that runs HAPI has, as small as it can be started.
// Arguments: port, folder for Tomcat, most rows of a page, and a label. Listens on 127.0.0.1 until standard input ends; serves /fhir,
// and where a label is given the same records at /consent, where HAPI's own ConsentInterceptor withholds what carries it.
// Lines on standard input are told on standard output when they are done:
//   world NAME [FROM]     another server at /NAME, over a database of its own: empty, or what FROM holds
//   stamp NAME FILE       each version that the file names (type, id, version, instant) has been written at that instant

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.rest.server.HardcodedServerAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.server.interceptor.consent.ConsentInterceptor;
import ca.uhn.fhir.rest.server.interceptor.consent.ConsentOutcome;
import ca.uhn.fhir.rest.server.interceptor.consent.IConsentContextServices;
import ca.uhn.fhir.rest.server.interceptor.consent.IConsentService;
import jakarta.persistence.EntityManagerFactory;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import javax.sql.DataSource;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.catalina.valves.AccessLogValve;
import org.h2.jdbcx.JdbcConnectionPool;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

public class Hapi {
    private static String database = "fhir"; // of the server that is being put together
    private static final Map<String, DataSource> databases = new HashMap<>();
    private static Context context;
    private static String base;
    private static int page;

    @Configuration
    @Import({JpaR4Config.class, HapiJpaConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class, SubscriptionChannelConfig.class,
            ThreadPoolFactoryConfig.class})
    public static class House {
        @Bean
        public JpaStorageSettings storageSettings() {
            JpaStorageSettings settings = new JpaStorageSettings();
            settings.setEnforceReferentialIntegrityOnWrite(false); // records are put one by one, in any order
            settings.setEnforceReferentialIntegrityOnDelete(false); // a deleted record may be named still
            settings.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
            settings.setStoreMetaSourceInformation(JpaStorageSettings.StoreMetaSourceInformationEnum.NONE); // random in each answer
            return settings;
        }

        @Bean
        public PartitionSettings partitionSettings() {
            return new PartitionSettings();
        }

        @Bean
        public SubscriptionSettings subscriptionSettings() {
            return new SubscriptionSettings();
        }

        @Bean
        public DataSource dataSource() {
            JdbcConnectionPool pool = JdbcConnectionPool.create("jdbc:h2:mem:" + database + ";DB_CLOSE_DELAY=-1", "sa", "");
            pool.setMaxConnections(32);
            databases.put(database, pool);
            return pool;
        }

        @Bean
        public LocalContainerEntityManagerFactoryBean entityManagerFactory(ConfigurableListableBeanFactory beans, DataSource source,
                FhirContext fhir, JpaStorageSettings settings) {
            LocalContainerEntityManagerFactoryBean factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
            Properties properties = new Properties();
            properties.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
            properties.put("hibernate.hbm2ddl.auto", "update");
            properties.put("hibernate.search.enabled", "false");
            factory.setPersistenceUnitName("fhir");
            factory.setDataSource(source);
            factory.setJpaProperties(properties);
            return factory;
        }

        @Bean
        public JpaTransactionManager transactionManager(EntityManagerFactory factory) {
            return new JpaTransactionManager(factory);
        }
    }

    /** What carries the label is seen by nobody: as HAPI's documentation has it, with nothing besides. */
    private static class ByLabel implements IConsentService {
        private final String label;

        ByLabel(String label) {
            this.label = label;
        }

        @Override
        public ConsentOutcome canSeeResource(RequestDetails request, IBaseResource resource, IConsentContextServices services) {
            boolean labelled = resource.getMeta().getSecurity().stream().anyMatch(coding -> label.equals(coding.getCode()));
            return labelled ? ConsentOutcome.REJECT : ConsentOutcome.PROCEED;
        }
    }

    private static RestfulServer serve(AnnotationConfigApplicationContext beans, String name) {
        DatabaseBackedPagingProvider paging = beans.getBean(DatabaseBackedPagingProvider.class);
        paging.setDefaultPageSize(page);
        paging.setMaximumPageSize(page);
        RestfulServer server = new RestfulServer(beans.getBean(FhirContext.class));
        server.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        server.registerProvider(beans.getBean("mySystemProviderR4"));
        server.setPagingProvider(paging);
        server.setServerAddressStrategy(new HardcodedServerAddressStrategy(base + "/" + name));
        return server;
    }

    private static void put(String name, RestfulServer server) {
        Tomcat.addServlet(context, name, server);
        context.addServletMappingDecoded("/" + name + "/*", name);
    }

    private static AnnotationConfigApplicationContext world(String name) {
        database = name;
        AnnotationConfigApplicationContext beans = new AnnotationConfigApplicationContext(House.class);
        put(name, serve(beans, name));
        return beans;
    }

    /** What one database holds becomes the beginning of another. */
    private static void copy(String from, String to, String scratch) throws SQLException {
        JdbcConnectionPool pool = JdbcConnectionPool.create("jdbc:h2:mem:" + to + ";DB_CLOSE_DELAY=-1", "sa", "");
        try (Connection one = databases.get(from).getConnection(); Connection two = pool.getConnection()) {
            one.createStatement().execute("SCRIPT DROP TO '" + scratch + "'");
            two.createStatement().execute("RUNSCRIPT FROM '" + scratch + "'");
        }
        pool.dispose();
    }

    private static void stamp(String name, String file) throws Exception {
        String which = " WHERE RES_ID = (SELECT RES_ID FROM HFJ_RESOURCE WHERE RES_TYPE = ? AND FHIR_ID = ?) AND RES_VER = ?";
        try (Connection connection = databases.get(name).getConnection();
                PreparedStatement current = connection.prepareStatement("UPDATE HFJ_RESOURCE SET RES_UPDATED = ?" + which);
                PreparedStatement version = connection.prepareStatement("UPDATE HFJ_RES_VER SET RES_UPDATED = ?" + which)) {
            for (String line : Files.readAllLines(Path.of(file))) {
                String[] words = line.split(" ");
                for (PreparedStatement statement : new PreparedStatement[] {version, current}) {
                    statement.setTimestamp(1, Timestamp.from(Instant.parse(words[3])));
                    statement.setString(2, words[0]);
                    statement.setString(3, words[1]);
                    statement.setLong(4, Long.parseLong(words[2]));
                    statement.executeUpdate();
                }
            }
        }
    }

    private static void obey(String[] words, String scratch) throws Exception {
        if (words[0].equals("world")) {
            if (words.length > 2) {
                copy(words[2], words[1], scratch + "/copy.sql");
            }
            world(words[1]);
        } else if (words[0].equals("stamp")) {
            stamp(words[1], words[2]);
        }
    }

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        base = "http://127.0.0.1:" + port;
        page = Integer.parseInt(arguments[2]);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(port);
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setProperty("compression", "on");
        tomcat.getConnector().setProperty("compressibleMimeType", "application/fhir+json,application/json");
        context = tomcat.addContext("", null);
        AccessLogValve asked = new AccessLogValve(); // FOLDER/asked.log: each request, one a line, its bytes and status
        asked.setDirectory(Path.of(arguments[1]).toAbsolutePath().toString());
        asked.setPrefix("asked");
        asked.setSuffix(".log");
        asked.setRotatable(false);
        asked.setBuffered(false);
        asked.setPattern("%m %U%q %b %s");
        tomcat.getHost().getPipeline().addValve(asked);
        AnnotationConfigApplicationContext beans = world("fhir");
        if (arguments.length > 3) {
            RestfulServer withheld = serve(beans, "consent");
            withheld.registerInterceptor(new ConsentInterceptor(new ByLabel(arguments[3])));
            put("consent", withheld);
        }
        tomcat.start();
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            obey(line.split(" "), arguments[1]);
            System.out.println("done " + line);
        }
        System.exit(0);
    }
}
